"""What a voice keeps of its reference speech: nothing that could be played back."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from cloning.engine.config import EngineConfig
from cloning.engine.errors import VoiceFileError

#: Longest reference: a minute of codes, and as many phones as one utterance may have.
MOST_REFERENCE_CODES = 1500
MOST_REFERENCE_PHONES = 1080


@dataclass(frozen=True, slots=True)
class Reference:
    """`phones` X and `codes` T (int64, both empty = speak without a prompt) are of the same words; `style` 1 x G x 1
    float32."""

    phones: Tensor
    codes: Tensor
    style: Tensor

    def check(self, config: EngineConfig) -> None:
        """Raises VoiceFileError `wrong_reference` or `not_finite` unless a voice of this configuration can use it."""
        phones, codes, style = self.phones, self.codes, self.style
        for row, most, limit in (
            (phones, MOST_REFERENCE_PHONES, config.semantic.phonemes),
            (codes, MOST_REFERENCE_CODES, config.semantic.codes),
        ):
            if row.dtype != torch.int64 or row.dim() != 1 or row.numel() > most:
                raise VoiceFileError(
                    "wrong_reference", "the reference's phones or codes are not a short row of numbers"
                )
            if row.numel() and not bool(((row >= 0) & (row < limit)).all()):
                raise VoiceFileError("wrong_reference", "the reference's phones or codes are outside their tables")
        if (phones.numel() == 0) != (codes.numel() == 0):
            raise VoiceFileError("wrong_reference", "the reference needs both phones and codes, or neither")
        if tuple(style.shape) != (1, config.acoustic.style, 1) or not style.dtype.is_floating_point:
            raise VoiceFileError("wrong_reference", "the reference's style vector has the wrong shape")
        if not bool(torch.isfinite(style).all()):
            raise VoiceFileError("not_finite", "the reference's style vector holds NaN or infinity")
