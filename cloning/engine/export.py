"""Writing official GPT-SoVITS weight files, so that a voice made here can be used by any tool of that family.

The counterpart of `checkpoints`: what is written here loads there, and in the official reader (commit 48b1a01), which
expects an S1 file to hold a plain dictionary and an S2 file an object of its own class `utils.HParams`.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from cloning.engine.checkpoints import FRAME_RATE, ZIP_MAGIC
from cloning.engine.config import AcousticConfig, AudioConfig, EngineConfig
from cloning.engine.diffusion_config import DiffusionConfig
from cloning.engine.errors import CheckpointError
from cloning.engine.weights import first_difference, not_finite, outline

#: Header of the version's fine-tunes; v1 and v2 files begin like any zip.
HEADERS = {"v1": ZIP_MAGIC, "v2": ZIP_MAGIC, "v2Pro": b"05", "v2ProPlus": b"06"}
#: The same of LoRA files, and how peft names the transformer that it wraps.
LORA_HEADERS = {"v3": b"03", "v4": b"04"}
WRAPPED = "cfm.base_model.model."
#: Longest utterance and padding value that the official S1 code reads from a file.
SEMANTIC_DATA = {"max_eval_sample": 8, "max_sec": 54, "num_workers": 4, "pad_val": 1024}
#: What the official S2 code reads of the training and data sections beside what the model's shape says.
SEGMENT_SAMPLES = 20480
ACOUSTIC_DATA = {"max_wav_value": 32768.0, "add_blank": True, "n_speakers": 300, "cleaned_text": True}


class _Settings:
    """Becomes a `utils.HParams` in the file: an object whose values are its attributes."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        for name, value in values.items():
            setattr(self, name, _Settings(value) if isinstance(value, Mapping) else value)


#: The readable twin of the C pickler, which lets a class decide how it is named; it has no type stubs.
_Readable: Any = pickle._Pickler  # type: ignore[attr-defined]


class _Pickler(_Readable):
    """Names `_Settings` by the official class, which need not be importable here."""

    def save_global(self, obj: Any, name: str | None = None) -> None:
        if obj is not _Settings:
            super().save_global(obj, name)
            return
        self.write(pickle.GLOBAL + b"utils\nHParams\n")
        self.memoize(obj)


#: What `torch.save` wants to see as "the pickle module".
_PICKLING = SimpleNamespace(__name__=__name__, Pickler=_Pickler)


def export_semantic(config: EngineConfig, weights: Mapping[str, Tensor], *, info: str = "") -> bytes:
    """S1 weights (the model's own names) -> bytes of an official `.ckpt`, half precision.

    Raises CheckpointError `not_official` for a voice whose model the official code cannot build, and what loading would
    refuse.
    """
    from cloning.engine.semantic.model import Text2Semantic

    _must_be_official(config)
    s = config.semantic
    _check(outline(lambda: Text2Semantic(s)), weights)
    model = {
        "vocab_size": s.vocabulary,
        "phoneme_vocab_size": s.phonemes,
        "embedding_dim": s.width,
        "hidden_dim": s.width,
        "head": s.heads,
        "linear_units": s.feed_forward,
        "n_layer": s.layers,
        "dropout": 0,
        "EOS": s.eos,
        "random_bert": 0,
    }
    content = {
        "weight": {f"model.{name}": _half(name, value) for name, value in weights.items()},
        "config": {"data": dict(SEMANTIC_DATA), "model": model},
        "info": info,
    }
    return _saved(content, ZIP_MAGIC)


def export_acoustic(config: EngineConfig, weights: Mapping[str, Tensor], *, info: str = "") -> bytes:
    """S2 weights -> bytes of an official `.pth` as fine-tuning writes it: half precision, no posterior encoder,
    the version's two header bytes. Raises CheckpointError as `export_semantic`."""
    from cloning.engine.acoustic.generator import AcousticModel

    _must_be_official(config)
    a, audio = config.acoustic, config.audio
    kept = {name: value for name, value in weights.items() if not name.startswith("enc_q.")}
    _check(outline(lambda: AcousticModel(a, audio, posterior=False)), kept)
    content = {
        "weight": {name: _half(name, value) for name, value in kept.items()},
        "config": _Settings(_settings(config.version, a, audio)),
        "info": info,
    }
    return _saved(content, HEADERS[config.version])


def export_diffusion(config: DiffusionConfig, weights: Mapping[str, Tensor], *, info: str = "") -> bytes:
    """A whole v3 or v4 generator -> bytes of an official `.pth`, half precision; like any zip at the front, as upstream
    writes full fine-tunes of v3 (of v4 it writes none). Raises CheckpointError as `export_semantic`."""
    from cloning.engine.acoustic.diffusion import DiffusionModel

    _check(outline(lambda: DiffusionModel(config)), weights)
    return _saved(
        {
            "weight": {name: _half(name, value) for name, value in weights.items()},
            "config": _Settings(_settings(config.version, config.acoustic, config.audio)),
            "info": info,
        },
        ZIP_MAGIC,
    )


def export_lora(
    config: DiffusionConfig,
    pairs: Mapping[str, tuple[Tensor, Tensor]],
    beside: Mapping[str, Tensor],
    *,
    rank: int,
    info: str = "",
) -> bytes:
    """A v3 or v4 adapter -> bytes of an official LoRA `.pth` (header 03 or 04), half precision.

    `pairs`: "BLOCK.LAYER" -> down, up (`acoustic.lora.Lora`); `beside`: whole tensors by their names in the generator.
    Raises CheckpointError `not_finite`.
    """
    whole = {name.replace("cfm.", WRAPPED, 1) if name.startswith("cfm.") else name: v for name, v in beside.items()}
    for name, (down, up) in pairs.items():
        number, layer = name.split(".", 1)
        place = f"{WRAPPED}estimator.transformer_blocks.{number}.attn.{layer}.lora_"
        whole |= {f"{place}A.default.weight": down, f"{place}B.default.weight": up}
    return _saved(
        {
            "weight": {name: _half(name, value) for name, value in whole.items()},
            "config": _Settings(_settings(config.version, config.acoustic, config.audio)),
            "info": info,
            "lora_rank": rank,
        },
        LORA_HEADERS[config.version],
    )


def _settings(version: str, a: AcousticConfig, audio: AudioConfig) -> dict[str, Any]:
    """What the official S2 code reads from a file."""
    model = {
        "inter_channels": a.latent,
        "hidden_channels": a.hidden,
        "filter_channels": a.filter,
        "n_heads": a.heads,
        "n_layers": a.text_layers,
        "kernel_size": a.kernel,
        "p_dropout": a.dropout,
        "resblock": a.resblock,
        "resblock_kernel_sizes": list(a.resblock_kernels),
        "resblock_dilation_sizes": [list(row) for row in a.resblock_dilations],
        "upsample_rates": list(a.upsample_rates),
        "upsample_initial_channel": a.upsample_initial,
        "upsample_kernel_sizes": list(a.upsample_kernels),
        "n_layers_q": 3,
        "use_spectral_norm": False,
        "gin_channels": a.style,
        "semantic_frame_rate": FRAME_RATE,
        "freeze_quantizer": True,
        "version": version,
    }
    data = {
        **ACOUSTIC_DATA,
        "sampling_rate": audio.sample_rate,
        "filter_length": audio.n_fft,
        "hop_length": audio.hop,
        "win_length": audio.win,
        "n_mel_channels": audio.n_mels,
        "mel_fmin": audio.fmin,
        "mel_fmax": None,
    }
    return {"train": {"segment_size": SEGMENT_SAMPLES}, "data": data, "model": model, "content_module": "cnhubert"}


def _must_be_official(config: EngineConfig) -> None:
    if config.version not in HEADERS:
        raise CheckpointError("not_official", f"a {config.version} model has no official file format")


def _check(expected: Mapping[str, tuple[int, ...]], weights: Mapping[str, Tensor]) -> None:
    difference = first_difference(expected, weights)
    if difference is not None:
        raise CheckpointError("wrong_weights", difference)


def _half(name: str, value: Tensor) -> Tensor:
    half = value.detach().cpu().half().clone().contiguous()
    if not_finite({name: half}) is not None:
        raise CheckpointError("not_finite", f"{name} does not fit into half precision")
    return half


def _saved(content: Mapping[str, Any], header: bytes) -> bytes:
    file = io.BytesIO()
    torch.save(content, file, pickle_module=_PICKLING, pickle_protocol=2)
    return header + file.getvalue()[len(header) :]
