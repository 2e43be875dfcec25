"""What a model looks like, as frozen values: enough to build it from random weights or to check a file against.

Every number is bounded, because a configuration may come out of a file somebody else wrote: an oversized or
contradictory description is refused (`ConfigError`) before anything is allocated.
Presets: `official("v1" | "v2" | "v2Pro" | "v2ProPlus")` have the sizes of the published GPT-SoVITS models (MIT, commit
48b1a01), `starter()` the project's own small base, `tiny()` the smallest thing that still has every part (tests).
"""

from __future__ import annotations

import dataclasses
import math
import typing
from dataclasses import dataclass, field
from typing import Any, Literal

from cloning.engine.bounded import added, build, check_values, must, plain, within
from cloning.engine.errors import ConfigError

#: Rows of the two symbol tables (text/symbols). S1 of v1 has room for more rows than the table has symbols.
V1_SYMBOLS = 322
V1_SEMANTIC_ROWS = 512
V2_SYMBOLS = 732
#: Codes of the semantic codebook in every official version.
OFFICIAL_CODES = 1024
#: Of the starter base: codes (1,024 learnt from English, the others from Mandarin) and classes of its content encoder.
STARTER_CODES, STARTER_CLASSES = 1472, 259
#: Length of the ERes2NetV2 speaker vector that the Pro versions read.
PRO_SPEAKER_DIM = 20480
#: Linear bins the official style encoder reads: v1 all of them, the others everything below 11 kHz.
V1_STYLE_BINS = 1025
V2_STYLE_BINS = 704


@dataclass(frozen=True, slots=True)
class AudioConfig:
    """How sound becomes frames. Rates in Hz, window lengths in samples.

    One frame every `hop` samples; `n_fft // 2 + 1` linear bins (`bins`); mels are for losses and the starter's style
    input.
    """

    sample_rate: int = field(metadata=within(8000, 48000))
    n_fft: int = field(metadata=within(64, 4096))
    win: int = field(metadata=within(64, 4096))
    hop: int = field(metadata=within(16, 2048))
    n_mels: int = field(metadata=within(8, 256))
    fmin: float = field(metadata=within(0.0, 1000.0))
    fmax: float = field(metadata=within(1000.0, 24000.0))

    @property
    def bins(self) -> int:
        return self.n_fft // 2 + 1

    @property
    def frame_rate(self) -> float:
        """Frames per second."""
        return self.sample_rate / self.hop

    def validate(self) -> None:
        check_values(self)
        must(self.hop <= self.win <= self.n_fft, "audio: hop <= win <= n_fft must hold")
        must(self.fmin < self.fmax <= self.sample_rate / 2, "audio: fmin < fmax <= half the sample rate must hold")


@dataclass(frozen=True, slots=True)
class ContentConfig:
    """The content encoder: `frame_rate` frames of `dim` numbers per second, from mono sound at `sample_rate`.

    kind "built_in": the project's ConvNeXt phone and pitch classifier (features/content), described by the other
    fields: log-mel with `n_mels`, `n_fft`, `win`, `hop` (hop 160 = 100 Hz, halved by a stride), `channels`, `blocks`,
    `phones` classes. kind "hubert": Chinese-HuBERT-base of the official recipe; a deployment provides it, so only `dim`
    and rates count.
    """

    kind: Literal["built_in", "hubert"]
    dim: int = field(metadata=within(4, 1024))
    sample_rate: int = field(default=16000, metadata=within(16000, 16000))
    n_fft: int = field(default=1024, metadata=within(64, 4096))
    win: int = field(default=512, metadata=within(64, 4096))
    hop: int = field(default=160, metadata=within(80, 320))
    n_mels: int = field(default=80, metadata=within(8, 256))
    channels: int = field(default=256, metadata=within(4, 1024))
    blocks: int = field(default=6, metadata=within(1, 24))
    phones: int = field(default=41, metadata=within(2, 1024))

    @property
    def frame_rate(self) -> float:
        """Frames per second: the built-in encoder halves its mel rate, HuBERT has 50."""
        return self.sample_rate / (2 * self.hop)

    def validate(self) -> None:
        check_values(self)
        must(self.win <= self.n_fft, "content: win <= n_fft must hold")


@dataclass(frozen=True, slots=True)
class SemanticConfig:
    """S1, text to semantic codes: a post-norm prefix-LM transformer.

    Codes are 0..codes-1 and the end mark is `eos` = codes, so the vocabulary has codes + 1 entries.
    `bert_dim` 0 means the model has no BERT input. `phone_classes` 0 means no auxiliary head; the head is used in
    training only (which phone is being spoken now), never in decoding.
    """

    codes: int = field(metadata=within(2, 8192))
    phonemes: int = field(metadata=within(2, 2048))
    width: int = field(metadata=within(8, 1024))
    heads: int = field(metadata=within(1, 32))
    layers: int = field(metadata=within(1, 32))
    bert_dim: int = field(default=0, metadata=within(0, 1024))
    phone_classes: int = field(default=0, metadata=added(0, 2048))
    dropout: float = field(default=0.1, metadata=within(0.0, 0.9))

    @property
    def eos(self) -> int:
        return self.codes

    @property
    def vocabulary(self) -> int:
        return self.codes + 1

    @property
    def feed_forward(self) -> int:
        """Inner width of the feed-forward blocks: always four times the width, whatever official YAML files say."""
        return 4 * self.width

    def validate(self) -> None:
        check_values(self)
        must(self.width % self.heads == 0 and self.width % 2 == 0, "semantic: width must be even and divide by heads")


@dataclass(frozen=True, slots=True)
class AcousticConfig:
    """S2, codes and text to sound: a conditional VAE with a flow and a HiFi-GAN decoder. Widths in channels.

    `content_dim` is one content frame; a code spans `frames_per_code` of them. `code_layout` "repeat": a codebook entry
    is one frame, repeated (official, entries of `content_dim`); "concat": an entry is `frames_per_code` frames laid end
    to end. `speaker_dim` 0 means no speaker vector; otherwise the Pro path (style vector + projected speaker vector).
    `pitch_hidden`: width of the pitch head where the decoder is given its source (`acoustic.excitation`), 0 without
    one (official). `phone_classes`: classes of the content encoder by which the text is laid along the codes
    (`acoustic.words`), `phone_width` the length of a phone's vector there; both 0 without (official). `style_gain`:
    what the style encoder's vector is multiplied with before anything is told it (official: 1). `formant_gain`: by what
    share formants are stretched behind the decoder when the voice speaks (`engine.formants`), 0: not at all (official).
    `*_input` say what the style and posterior encoders do with the linear magnitude spectrogram they are given.
    """

    content_dim: int = field(metadata=within(4, 1024))
    codes: int = field(metadata=within(2, 8192))
    phonemes: int = field(metadata=within(2, 2048))
    hidden: int = field(metadata=within(8, 1024))
    filter: int = field(metadata=within(8, 4096))
    latent: int = field(metadata=within(2, 1024))
    style: int = field(metadata=within(8, 2048))
    code_layout: Literal["repeat", "concat"]
    style_input: Literal["magnitude", "log_mel"]
    style_bins: int = field(metadata=within(8, 2049))
    posterior_input: Literal["magnitude", "log"]
    upsample_initial: int = field(metadata=within(4, 2048))
    upsample_rates: tuple[int, ...] = field(metadata=within(1, 32))
    upsample_kernels: tuple[int, ...] = field(metadata=within(1, 64))
    frames_per_code: int = field(default=2, metadata=within(1, 4))
    code_kernel: int = field(default=1, metadata=within(1, 7))
    heads: int = field(default=2, metadata=within(1, 32))
    kernel: int = field(default=3, metadata=within(1, 15))
    code_layers: int = field(default=3, metadata=within(1, 16))
    text_layers: int = field(default=6, metadata=within(1, 16))
    joint_layers: int = field(default=3, metadata=within(1, 16))
    mrte_width: int = field(default=512, metadata=within(8, 1024))
    mrte_heads: int = field(default=4, metadata=within(1, 32))
    style_hidden: int = field(default=128, metadata=within(8, 512))
    speaker_dim: int = field(default=0, metadata=within(0, 40960))
    posterior_hidden: int = field(default=192, metadata=within(4, 1024))
    posterior_layers: int = field(default=16, metadata=within(1, 32))
    flow_hidden: int = field(default=192, metadata=within(4, 1024))
    flow_layers: int = field(default=4, metadata=within(1, 16))
    flows: int = field(default=4, metadata=within(1, 16))
    resblock: Literal["1", "2"] = "1"
    resblock_kernels: tuple[int, ...] = field(default=(3, 7, 11), metadata=within(1, 31))
    resblock_dilations: tuple[tuple[int, ...], ...] = field(
        default=((1, 3, 5), (1, 3, 5), (1, 3, 5)), metadata=within(1, 32)
    )
    periods: tuple[int, ...] = field(default=(2, 3, 5, 7, 11), metadata=within(2, 64))
    discriminator_base: int = field(default=32, metadata=within(2, 64))
    dropout: float = field(default=0.1, metadata=within(0.0, 0.9))
    segment_frames: int = field(default=32, metadata=within(2, 256))
    pitch_hidden: int = field(default=0, metadata=within(0, 512))
    phone_classes: int = field(default=0, metadata=added(0, 1024))
    phone_width: int = field(default=0, metadata=added(0, 256))
    style_gain: float = field(default=1.0, metadata=added(0.1, 2.0))
    formant_gain: float = field(default=0.0, metadata=added(0.0, 1.0))

    @property
    def code_dim(self) -> int:
        """Length of one codebook entry."""
        return self.content_dim * (self.frames_per_code if self.code_layout == "concat" else 1)

    def validate(self) -> None:
        check_values(self)
        must(self.hidden % self.heads == 0, "acoustic: hidden must divide by heads")
        must(self.mrte_width % self.mrte_heads == 0, "acoustic: mrte_width must divide by mrte_heads")
        must(self.style_hidden % 2 == 0, "acoustic: style_hidden must be even")
        must(self.latent % 2 == 0, "acoustic: latent must be even")
        must((self.phone_classes > 0) == (self.phone_width > 0), "acoustic: phone_classes and phone_width go together")
        must(self.pitch_hidden > 0 or self.phone_classes == 0, "acoustic: only a pitch head is told the phones")
        must(self.kernel % 2 == 1 and self.code_kernel % 2 == 1, "acoustic: kernels must be odd")
        must(self.speaker_dim > 0 or self.style == self.mrte_width, "acoustic: without speaker_dim style = mrte_width")
        stages = len(self.upsample_rates)
        must(1 <= stages <= 8 and len(self.upsample_kernels) == stages, "acoustic: one upsample kernel for each rate")
        must(
            all(k >= r and (k - r) % 2 == 0 for r, k in zip(self.upsample_rates, self.upsample_kernels, strict=True)),
            "acoustic: each upsample kernel must exceed its rate by an even number",
        )
        must(self.upsample_initial % 2**stages == 0, "acoustic: upsample_initial must halve at every stage")
        must(
            1 <= len(self.resblock_kernels) == len(self.resblock_dilations) <= 8, "acoustic: a dilation row per kernel"
        )
        must(all(k % 2 == 1 for k in self.resblock_kernels), "acoustic: resblock kernels must be odd")
        wanted = 3 if self.resblock == "1" else 2
        must(
            all(len(row) == wanted for row in self.resblock_dilations), f"acoustic: dilation rows need {wanted} entries"
        )
        must(len(self.periods) <= 16, "acoustic: too many discriminator periods")


@dataclass(frozen=True, slots=True)
class EngineConfig:
    """Everything needed to build one voice's models."""

    version: Literal["v1", "v2", "v2Pro", "v2ProPlus", "starter"]
    audio: AudioConfig
    content: ContentConfig
    semantic: SemanticConfig
    acoustic: AcousticConfig

    def __post_init__(self) -> None:
        for part in (self.audio, self.content, self.semantic, self.acoustic):
            part.validate()
        a, s = self.acoustic, self.semantic
        must(math.prod(a.upsample_rates) == self.audio.hop, "the decoder's upsample rates must multiply to the hop")
        must(a.codes == s.codes, "S1 and S2 must share the codebook size")
        must(a.phonemes <= s.phonemes, "S1 must know every symbol that S2 knows")
        must(a.content_dim == self.content.dim, "S2 must read the content encoder's frames")
        expected = self.audio.n_mels if a.style_input == "log_mel" else self.audio.bins
        exact = a.style_input == "log_mel"
        must(a.style_bins == expected if exact else a.style_bins <= expected, "style_bins do not fit the spectrogram")
        must(abs(self.content.frame_rate - self.audio.frame_rate) < 1e-6, "content and sound need one frame rate")
        must(a.formant_gain == 0 or self.audio.hop % 2 == 0, "the filter of formants needs an even hop")

    @property
    def code_rate(self) -> float:
        """Semantic codes per second (25 in every published version)."""
        return self.audio.frame_rate / self.acoustic.frames_per_code

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types; `from_dict` gives the same value back."""
        return typing.cast("dict[str, Any]", plain(dataclasses.asdict(self)))

    @classmethod
    def from_dict(cls, data: object) -> EngineConfig:
        """Inverse of `to_dict`. Raises ConfigError for unknown or missing keys, wrong types, values out of range."""
        return build(cls, data, "config")


def official(version: str) -> EngineConfig:
    """The published GPT-SoVITS sizes. Raises ConfigError for a version this engine does not build."""
    if version not in ("v1", "v2", "v2Pro", "v2ProPlus"):
        raise ConfigError("unsupported_version", f"no official model {version!r} here; known: v1, v2, v2Pro, v2ProPlus")
    first = version == "v1"
    pro = version in ("v2Pro", "v2ProPlus")
    plus = version == "v2ProPlus"
    return EngineConfig(
        version=typing.cast(Any, version),
        audio=AudioConfig(sample_rate=32000, n_fft=2048, win=2048, hop=640, n_mels=128, fmin=0.0, fmax=16000.0),
        content=ContentConfig(kind="hubert", dim=768),
        semantic=SemanticConfig(
            codes=OFFICIAL_CODES,
            phonemes=V1_SEMANTIC_ROWS if first else V2_SYMBOLS,
            width=512,
            heads=16,
            layers=24,
            bert_dim=1024,
            dropout=0.1,
        ),
        acoustic=AcousticConfig(
            content_dim=768,
            codes=OFFICIAL_CODES,
            phonemes=V1_SYMBOLS if first else V2_SYMBOLS,
            hidden=192,
            filter=768,
            latent=192,
            style=1024 if pro else 512,
            code_layout="repeat",
            style_input="magnitude",
            style_bins=V1_STYLE_BINS if first else V2_STYLE_BINS,
            posterior_input="magnitude",
            speaker_dim=PRO_SPEAKER_DIM if pro else 0,
            upsample_initial=768 if plus else 512,
            upsample_rates=(10, 8, 2, 2, 2),
            upsample_kernels=(20, 16, 8, 2, 2) if plus else (16, 16, 8, 2, 2),
            periods=(2, 3, 5, 7, 11, 17, 23) if pro else (2, 3, 5, 7, 11),
            dropout=0.0 if pro else 0.1,
        ),
    )


def starter() -> EngineConfig:
    """The project's own small base: 16 kHz, 50 Hz frames of 128 numbers, 25 Hz codes, about 19 M parameters."""
    return EngineConfig(
        version="starter",
        audio=AudioConfig(sample_rate=16000, n_fft=1024, win=1024, hop=320, n_mels=80, fmin=0.0, fmax=8000.0),
        content=ContentConfig(kind="built_in", dim=128, phones=STARTER_CLASSES),
        semantic=SemanticConfig(
            codes=STARTER_CODES,
            phonemes=V2_SYMBOLS,
            width=256,
            heads=4,
            layers=5,
            dropout=0.05,
            phone_classes=V1_SYMBOLS,  # those of English and Mandarin stand first
        ),
        acoustic=AcousticConfig(
            content_dim=128,
            codes=STARTER_CODES,
            phonemes=V2_SYMBOLS,
            hidden=192,
            filter=384,
            latent=96,
            style=256,
            code_layout="concat",
            code_kernel=3,
            code_layers=2,
            text_layers=1,
            joint_layers=3,
            mrte_width=256,
            style_input="log_mel",
            style_bins=80,
            posterior_input="log",
            posterior_hidden=128,
            posterior_layers=8,
            flow_hidden=128,
            flow_layers=3,
            upsample_initial=256,
            upsample_rates=(10, 8, 4),
            upsample_kernels=(20, 16, 8),
            resblock="2",
            resblock_kernels=(3, 5, 7),
            resblock_dilations=((1, 2), (2, 6), (3, 12)),
            periods=(2, 3, 5, 7),
            discriminator_base=4,
            dropout=0.05,
            pitch_hidden=48,
            phone_classes=STARTER_CLASSES,
            phone_width=16,
            style_gain=0.8,
            formant_gain=0.15,
        ),
    )


def tiny() -> EngineConfig:
    """Every part of the starter at the smallest useful size; builds and runs in milliseconds. For tests only."""
    base = starter()
    return dataclasses.replace(
        base,
        audio=dataclasses.replace(base.audio, n_fft=512, win=512, n_mels=20),
        content=dataclasses.replace(base.content, dim=16, channels=16, blocks=1, n_mels=20),
        semantic=SemanticConfig(
            codes=64, phonemes=V2_SYMBOLS, width=32, heads=2, layers=2, phone_classes=V2_SYMBOLS, dropout=0.0
        ),
        acoustic=dataclasses.replace(
            base.acoustic,
            content_dim=16,
            codes=64,
            hidden=16,
            filter=24,
            latent=8,
            style=16,
            mrte_width=16,
            mrte_heads=2,
            code_layers=1,
            joint_layers=1,
            style_bins=20,
            style_hidden=16,
            posterior_hidden=16,
            posterior_layers=2,
            flow_hidden=16,
            flow_layers=1,
            flows=2,
            upsample_initial=16,
            periods=(2, 3),
            discriminator_base=2,
            dropout=0.0,
            segment_frames=8,
        ),
    )
