"""What the official models' own encoders make of a recording and its text, as training items need it.

Follows the official preparation (GPT-SoVITS, prepare_datasets/1-get-text to 3-get-semantic), in memory. HuBERT, BERT
and the speaker encoder come from a mounted folder; the codebook and its projection from the S2 that is trained.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from cloning.engine.acoustic.quantizer import Quantizer
from cloning.engine.config import EngineConfig
from cloning.engine.errors import TrainingRefused
from cloning.engine.features.levels import content_input
from cloning.engine.features.mounted import Mounted
from cloning.engine.features.reference_audio import ENCODER_RATE, sinc_resample
from cloning.engine.text.frontend import front
from cloning.engine.text.phones import clean
from cloning.engine.training.base import Base

#: Signs that the official preparation replaces in a transcript before reading it.
REPLACED = str.maketrans({"%": "-", "￥": ","})


class OfficialHearing:
    """Encoders for one base. `compat`: levels, text and codes as upstream prepares them, quirks included."""

    def __init__(self, base: Base, models: Mounted, *, compat: bool = False) -> None:
        """Raises TrainingRefused `no_models` when the folder lacks what this base needs, or the base has no S2."""
        self.config: EngineConfig = base.config
        self.models = models
        self.compat = compat
        a = base.config.acoustic
        if base.acoustic is None:
            raise TrainingRefused("no_models", "an official base needs its S2 weights: they say what a code means")
        self.table = "v1" if base.config.version == "v1" else "v2"
        for part, needed in (("content", True), ("speaker", a.speaker_dim > 0)):
            if needed and not models.has(part):  # type: ignore[arg-type]
                raise TrainingRefused("no_models", f"{models.path(part)!s:.200} is missing or incomplete")  # type: ignore[arg-type]
        self._weight = base.acoustic["ssl_proj.weight"].float()
        self._bias = base.acoustic["ssl_proj.bias"].float()
        self._quantizer = Quantizer(a.codes, a.code_dim)
        self._quantizer.set_entries(base.codebook.float())

    @torch.inference_mode()
    def codes(self, heard: np.ndarray) -> Tensor:
        """(N,) at 16 kHz -> (T,) int64. Raises TrainingRefused `bad_audio` when HuBERT's numbers are not finite."""
        content = self.models.content(torch.from_numpy(heard))
        if not bool(torch.isfinite(content).all()):
            raise TrainingRefused("bad_audio", "the content encoder gave values that are not numbers")
        span = self.config.acoustic.frames_per_code
        vectors = F.conv1d(content.float(), self._weight, self._bias, stride=span)
        return self._quantizer.encode(vectors)[0].clone()

    def levelled(self, wave: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """A recording at the model's rate -> what S2 learns from (16-bit values as float32) and what HuBERT hears.

        Raises TrainingRefused `bad_audio` for silence and for a peak above 2.2.
        """
        kept, heard = content_input(wave, compat=self.compat)
        return kept.astype(np.float32) / 32768, heard

    @torch.inference_mode()
    def speaker(self, wave: np.ndarray) -> Tensor | None:
        """The recording as S2 hears it -> speaker vector (speaker_dim,), None for versions that read none."""
        if not self.config.acoustic.speaker_dim:
            return None
        heard = sinc_resample(torch.from_numpy(wave)[None], self.config.audio.sample_rate, ENCODER_RATE)
        return self.models.speaker(heard[0])[0].clone()

    def read(self, transcript: str, language: str) -> tuple[list[int], Tensor | None, tuple[str, ...]]:
        """Phones, prosody features (bert_dim, X) or None for zeros, and the front end's notes. Raises TextError."""
        prosody = self.models.prosody if self.models.has("prosody") else None
        if not self.compat:
            spoken = front(transcript, language, version=self.table, bert=prosody)
            features = None if spoken.bert is None or "zh" not in spoken.languages else spoken.bert
            return spoken.ids, features, spoken.notes
        phones = clean(transcript.translate(REPLACED), language, version=self.table, compat=True)
        if language != "zh" or prosody is None:
            return phones.ids, None, ("bert_missing",) if language == "zh" else ()
        return phones.ids, prosody(phones.normalised, phones.word2ph or []), ()
