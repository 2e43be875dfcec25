"""A text spoken piece by piece, so that its beginning can be heard while the rest is still being made.

The same speech as `synthesis.synthesise` gives for the same voice, text and seed, to rounding: codes are drawn and
judged sentence by sentence there too, and the vocoder, which takes most of the time, sees only a short stretch of the
latent around every sample. So the latent of a sentence is made whole, and turned into sound stretch by stretch, each
with enough of its surroundings that every kept sample sees what it would have seen. One difference: a sample over the
peak is cut there, because nobody can turn down what has been heard.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from cloning.engine import formants
from cloning.engine.acoustic.generator import AcousticModel
from cloning.engine.disguise import disguised_speaker
from cloning.engine.errors import SynthesisFailed
from cloning.engine.semantic.sampling import Decoded
from cloning.engine.synthesis import (
    PEAK,
    Speaker,
    SpeechRequest,
    check_audible,
    check_finite,
    complete,
    fragments,
    whole_speaker,
)
from cloning.engine.voicefile import Voice

#: Frames of latent in a sentence's first stretch, about 0.6 s of a starter voice; each further one is twice as long.
FIRST_FRAMES = 30
#: Frames of latent on either side of a stretch that its sound depends on: more than the reach of the vocoder's
#: convolutions, which is 10 frames in the starter and 13 in the published sizes, and of the formants' filter.
REACH_FRAMES = 14 + formants.REACH_FRAMES

Wave = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Piece:
    """`pcm`: float32 mono, at most PEAK in size, with the pause before it where it begins a sentence but the first.
    `sentence` of `sentences`, from 0; `last`: it ends its sentence."""

    pcm: Wave
    sentence: int
    sentences: int
    last: bool


class ReadyVoice:
    """A voice made ready once, for many texts. Threads may share it. It holds the voice in the clear: whoever keeps one
    keeps a voice. Raises VoiceFileError for a base without a reference."""

    def __init__(self, voice: Voice, *, device: str = "cpu") -> None:
        self._speaker = whole_speaker(voice, device)

    @property
    def rate(self) -> int:
        """Of its sound, in Hz."""
        return self._speaker.config.audio.sample_rate

    def pieces(self, request: SpeechRequest, *, move: Wave | None = None) -> Iterator[Piece]:
        """The request's text. Nothing happens before the first piece is asked for. Raises as `synthesis.synthesise`; a
        sentence that turns out silent after its beginning was given raises SynthesisFailed too. ``move``: of the style
        (`engine.disguise`)."""
        speaker = self._speaker if move is None else disguised_speaker(self._speaker, move)
        sentences = fragments(request, speaker.config)
        generator = torch.Generator().manual_seed(request.seed)
        pause = np.zeros(round(request.fragment_interval * self.rate), dtype=np.float32)
        for index, ids in enumerate(sentences):
            before: Wave | None = pause if index else None
            for wave, last in _sentence(speaker, ids, request, generator):
                pcm = wave if before is None else np.concatenate([before, wave])
                before = None
                yield Piece(pcm, index, len(sentences), last)


def _sentence(
    speaker: Speaker, ids: list[int], request: SpeechRequest, generator: torch.Generator
) -> Iterator[tuple[Wave, bool]]:
    """Stretches of the first attempt whose codes look complete, else the last one that can be heard, whole; and whether
    each is the last."""
    rate = speaker.config.audio.sample_rate
    kept: Wave | None = None
    failure = SynthesisFailed("no_codes", "the voice had nothing to say for a part of the text")
    for decoded in speaker.attempts(ids, request, generator, lambda _: None):
        if decoded.codes.numel() == 0:
            continue
        if complete(decoded, ids):
            yield from _checked(_stretches(speaker, decoded, ids, request, generator), rate, len(ids))
            return
        pcm = speaker.sound(decoded, ids, request, generator)
        try:
            check_audible(pcm, rate, phones=len(ids))
        except SynthesisFailed as error:
            failure = error
            continue
        kept = pcm
    if kept is None:
        raise failure
    yield np.clip(kept, -PEAK, PEAK), True


def _checked(stretches: Iterator[tuple[Wave, bool]], rate: int, phones: int) -> Iterator[tuple[Wave, bool]]:
    parts: list[Wave] = []
    for wave, last in stretches:
        check_finite(wave)
        parts.append(np.clip(wave, -PEAK, PEAK))
        if last:
            check_audible(np.concatenate(parts), rate, phones=phones)
        yield parts[-1], last


def _stretches(
    speaker: Speaker, decoded: Decoded, ids: list[int], request: SpeechRequest, generator: torch.Generator
) -> Iterator[tuple[Wave, bool]]:
    latent = _latent(speaker, decoded, ids, request, generator)
    begin, size = 0, FIRST_FRAMES
    while begin < latent.shape[2]:
        # A rest too short to be worth its surroundings goes with what comes before it.
        end = latent.shape[2] if latent.shape[2] - begin < size + FIRST_FRAMES else begin + size
        wave = _sound(speaker.acoustic, latent, speaker.style, begin, end, speaker.config.acoustic.formant_gain)
        yield wave, end == latent.shape[2]
        begin, size = end, 2 * size


@torch.inference_mode()
def _latent(
    speaker: Speaker, decoded: Decoded, ids: list[int], request: SpeechRequest, generator: torch.Generator
) -> Tensor:
    """1 x latent x F: what `AcousticModel.decode` draws before its vocoder, by the same chance."""
    model, phones = speaker.acoustic, torch.tensor([ids], device=speaker.device)
    mean, log_deviation, mask = model.prior(
        *model.prior_hidden(decoded.codes[None], phones, speaker.style), request.speed
    )
    noise = torch.randn(mean.shape, generator=generator).to(mean) if request.noise_scale > 0 else None
    return model.latent(mean, log_deviation, mask, speaker.style, noise=noise, noise_scale=request.noise_scale)


@torch.inference_mode()
def _sound(model: AcousticModel, latent: Tensor, style: Tensor, begin: int, end: int, formant_gain: float) -> Wave:
    """The samples of the latent's frames `begin` to `end`."""
    first, hop = max(0, begin - REACH_FRAMES), model.audio.hop
    wave = model.dec(latent[:, :, first : end + REACH_FRAMES], style)
    pcm: Wave = wave[0, 0].float().cpu().numpy()
    return formants.sharpen(pcm, model.audio, formant_gain)[(begin - first) * hop : (end - first) * hop].copy()
