"""Sound while the codes are still being made: S2 decoding in pieces.

The prior encoder attends over everything, so all codes so far are encoded again for each piece (cheap: a few per cent
of the vocoder); only the frames of the new codes and a short overlap are turned into sound. In the overlap the hidden
frames fade from the earlier piece's to the new ones. Structure of the official `decode_streaming` and of the loop in
`TTS_infer_pack` that calls it (GPT-SoVITS, MIT, commit 48b1a01); joining the waves is the caller's.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from cloning.engine.acoustic import excitation
from cloning.engine.acoustic.generator import AcousticModel, check_settings

#: Codes that two neighbouring pieces share, and fewest codes of a piece after the first (the overlap grows to reach
#: it). Both are the official service's.
OVERLAP_CODES = 2
LEAST_PIECE_CODES = 10


@dataclass(frozen=True, slots=True)
class Piece:
    """`wave` 1 x 1 x N, -1..1: the overlap with the earlier piece, then the new codes. `overlap` = codes of the
    overlap (0 in a first piece), `overlap_samples` what it takes of `wave` before any speed change; `latent`
    1 x hidden x F: the piece's hidden frames at speed 1, which the next piece fades from."""

    wave: Tensor
    overlap: int
    overlap_samples: int
    latent: Tensor


def fade(earlier: Tensor, new: Tensor, *, compat: bool = False) -> Tensor:
    """Hidden frames B x C x L of the same L places -> their mixture, from `earlier` to `new`.

    With a = pi k / (2 L) for place k the weights are sin(a) for `new` and cos(a) for `earlier` in the official model,
    which add up to as much as 1.41. Here both are squared, so they add up to one; `compat` keeps the official ones.
    """
    length = new.shape[-1]
    angle = torch.arange(length, device=new.device, dtype=new.dtype) * (math.pi / (2 * length))
    rise, fall = angle.sin(), angle.cos()
    return rise * new + fall * earlier if compat else rise.square() * new + fall.square() * earlier


@torch.inference_mode()
def streamed_hidden(
    model: AcousticModel,
    codes: Tensor,
    phones: Tensor,
    style: Tensor,
    *,
    frames: int | None = None,
    earlier: Tensor | None = None,
    compat: bool = False,
) -> tuple[Tensor, Tensor]:
    """All codes so far, 1 x T -> hidden frames of the last `frames` places (None: all), mask.

    The first of them fade in from `earlier` 1 x hidden x L, the last L frames of the piece before. Raises ValueError
    when the pieces do not fit each other.
    """
    hidden, mask = model.prior_hidden(codes, phones, style)
    if frames is not None:
        if not 0 < frames <= hidden.shape[2]:
            raise ValueError(f"{frames} frames asked of {hidden.shape[2]}")
        hidden, mask = hidden[:, :, -frames:], mask[:, :, -frames:]
    if earlier is not None:
        length = earlier.shape[2]
        if not 0 < length <= hidden.shape[2]:
            raise ValueError(f"an overlap of {length} frames does not fit into {hidden.shape[2]}")
        hidden = torch.cat([fade(earlier, hidden[:, :, :length], compat=compat), hidden[:, :, length:]], dim=2)
    return hidden, mask


class StreamingDecoder:
    """One utterance, piece by piece. `feed` takes the new codes only.

    `compat` keeps two official habits: overlap weights that do not add up to one (`fade`), and fresh noise for frames
    that were already spoken. The default keeps one noise value for each frame at speed 1, so that the overlap of two
    pieces is nearly the same sound; at another speed the frames of two pieces do not line up, and noise is fresh.
    A decoder belongs to one thread and one utterance.
    """

    def __init__(
        self,
        model: AcousticModel,
        phones: Tensor,
        style: Tensor,
        *,
        overlap: int = OVERLAP_CODES,
        speed: float = 1.0,
        noise_scale: float = 0.5,
        generator: torch.Generator | None = None,
        compat: bool = False,
    ) -> None:
        """phones 1 x X of the whole utterance, style 1 x G x 1. Raises ValueError outside the bounds of `decode`."""
        check_settings(speed, noise_scale)
        if noise_scale > 0 and generator is None:
            raise ValueError("a generator is needed: there is no hidden random state")
        if overlap < 1:
            raise ValueError("pieces need an overlap of at least one code")
        self.model = model
        self.phones = phones
        self.style = style
        self.overlap = overlap
        self.speed = speed
        self.noise_scale = noise_scale
        self.generator = generator
        self.compat = compat
        self._codes: Tensor | None = None
        self._latent: Tensor | None = None
        self._noise: Tensor | None = None
        self._drawn: Tensor | None = None

    @torch.inference_mode()
    def feed(self, codes: Tensor) -> Piece:
        """New codes 1 x T (T >= 1, following all codes fed before) -> their sound, with the overlap in front."""
        if codes.dim() != 2 or codes.shape[0] != 1 or codes.shape[1] < 1:
            raise ValueError("codes must be 1 x T with T of at least 1")
        new = codes.shape[1]
        span = self.model.config.frames_per_code
        overlap, frames, earlier = 0, None, None
        if self._codes is not None and self._latent is not None:
            # As in the official loop; a piece cannot overlap more than the piece before it held.
            wanted = self.overlap + max(0, LEAST_PIECE_CODES - new)
            overlap = min(wanted, self._latent.shape[2] // span)
            frames, earlier = (new + overlap) * span, self._latent[:, :, -overlap * span :]
            codes = torch.cat([self._codes, codes], dim=1)
        hidden, mask = streamed_hidden(
            self.model, codes, self.phones, self.style, frames=frames, earlier=earlier, compat=self.compat
        )
        mean, log_deviation, wide = self.model.prior(hidden, mask, self.speed)
        phase, number = self._place(round(overlap * span / self.speed))
        self._drawn = self.model.latent(
            mean, log_deviation, wide, self.style, noise=self._draw(mean, overlap * span), noise_scale=self.noise_scale,
            phase=phase, number=number,
        )  # fmt: skip
        wave = self.model.dec(self._drawn, self.style)
        self._codes, self._latent = codes, hidden
        return Piece(wave, overlap, overlap * span * self.model.audio.hop, hidden)

    def _place(self, shared: int) -> tuple[float, int]:
        """Where the source of a piece goes on whose first `shared` frames were spoken in the piece before."""
        if self._drawn is None or self.model.pitch is None:
            return 0.0, 0
        return excitation.place(self._drawn, max(0, self._drawn.shape[2] - max(1, shared)))

    def _draw(self, mean: Tensor, shared: int) -> Tensor | None:
        """Noise for every frame of the piece; the `shared` first ones keep the noise they had."""
        if self.noise_scale == 0:
            return None
        if self.compat or self.speed != 1.0 or self._noise is None:
            shared = 0
        fresh = torch.randn((*mean.shape[:2], mean.shape[2] - shared), generator=self.generator).to(mean)
        kept = [] if shared == 0 or self._noise is None else [self._noise[:, :, -shared:]]
        self._noise = torch.cat([*kept, fresh], dim=2)
        return self._noise
