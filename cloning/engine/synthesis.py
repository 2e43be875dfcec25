"""Text to speech with one voice: split, phones, S1 codes, S2 sound.

Everything random comes from one `torch.Generator` made from the request's seed, so one seed is one result on one
machine. The sound exists only in the returned value. Whatever is not speech is refused, never returned: silence, values
that are not finite.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from cloning.engine import text as frontend
from cloning.engine.acoustic import fast
from cloning.engine.acoustic.generator import LEAST_SPEED, MOST_SPEED, AcousticModel
from cloning.engine.acoustic.layers import fold_weight_norm
from cloning.engine.config import EngineConfig
from cloning.engine.errors import EngineError, SynthesisFailed, TextError, VoiceFileError
from cloning.engine.reference import Reference
from cloning.engine.semantic.model import Text2Semantic
from cloning.engine.semantic.runner import Runner
from cloning.engine.semantic.sampling import Decoded, Sampling, code_bound, decode, prepare
from cloning.engine.voicefile import Voice

#: Official default. Own starter codes repeat legitimately at 25 Hz, and any penalty makes that base stumble (measured).
OFFICIAL_PENALTY = 1.35
STARTER_PENALTY = 1.0
#: Most phones of one fragment, the longest utterance the training recipe admits.
MOST_PHONES = 540
#: Longest pause between fragments, in seconds.
MOST_INTERVAL = 5.0
#: A fragment is tried this often when S1 does not end by itself or leaves words out, or when its codes give no sound.
ATTEMPTS = 5
#: Fastest speech that can hold all the words: below this many codes per phone, words are missing (25 phones a second is
#: the fastest training data; a little less because punctuation takes no time).
LEAST_CODES_PER_PHONE = 0.7
#: Loudest sample returned, just under full scale so that no later conversion to integers can wrap.
PEAK = 0.99
#: A frame of 20 ms counts as sound above -50 dBFS; speech needs a tenth of a second of such frames in every fragment.
FRAME_SECONDS = 0.02
AUDIBLE = 10 ** (-50 / 20)
LEAST_AUDIBLE_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class SpeechRequest:
    """What to say and how. Raises EngineError("bad_request") when a number is out of range.

    seed 0..2^63-1. repetition_penalty None = the default of the voice's model. speed 0.5..2 (1 = as trained).
    noise_scale 0..2, liveliness of the latent. fragment_interval: seconds of silence between fragments.
    split_method: cut0..cut5 of the text frontend.
    """

    text: str
    seed: int
    language: str = "en"
    top_k: int = 15
    top_p: float = 1.0
    temperature: float = 1.0
    repetition_penalty: float | None = None
    speed: float = 1.0
    noise_scale: float = 0.5
    fragment_interval: float = 0.3
    split_method: str = "cut5"

    def __post_init__(self) -> None:
        if isinstance(self.seed, bool) or not isinstance(self.seed, int) or not 0 <= self.seed < 2**63:
            raise EngineError("bad_request", "seed must be a whole number from 0 to 2^63 - 1")
        ranges = (
            ("speed", self.speed, LEAST_SPEED, MOST_SPEED),
            ("noise_scale", self.noise_scale, 0.0, 2.0),
            ("fragment_interval", self.fragment_interval, 0.0, MOST_INTERVAL),
        )
        for name, value, low, high in ranges:
            if not (math.isfinite(value) and low <= value <= high):
                raise EngineError("bad_request", f"{name} must be between {low:g} and {high:g}")
        self.sampling(1.0)

    def sampling(self, default_penalty: float) -> Sampling:
        penalty = default_penalty if self.repetition_penalty is None else self.repetition_penalty
        try:
            return Sampling(self.top_k, self.top_p, self.temperature, penalty)
        except (ValueError, TypeError) as error:
            raise EngineError("bad_request", str(error)) from error


@dataclass(frozen=True, slots=True)
class Speech:
    """`pcm`: float32 mono, at most PEAK in size; `rate` in Hz; `seconds` its length.

    `doubtful`: fragments whose codes never looked complete (the model did not stop by itself, or was too short for its
    words); they are in the sound, cut at the bound.
    """

    pcm: npt.NDArray[np.float32]
    rate: int
    seconds: float
    doubtful: int


def synthesise(
    voice: Voice,
    request: SpeechRequest,
    *,
    progress: Callable[[float], None] | None = None,
    device: str = "cpu",
) -> Speech:
    """Say the request's text in the voice.

    progress(share) is called with growing shares, at last 1.0. Raises TextError (nothing to say, unsupported language,
    fragment too long), VoiceFileError (a base without a reference) and SynthesisFailed (silence, values that are not
    finite).
    """
    reference = voice.reference
    if reference is None:
        raise VoiceFileError("no_reference", "this is a base, not a voice: it has no reference to speak like")
    fragments = _fragments(request, voice.config)
    speaker = _Speaker(voice.config, voice.build_semantic(), voice.build_acoustic(), reference, device)
    generator = torch.Generator().manual_seed(request.seed)
    report = progress or _ignore
    pause = np.zeros(round(request.fragment_interval * voice.config.audio.sample_rate), dtype=np.float32)
    parts: list[npt.NDArray[np.float32]] = []
    doubtful = 0
    for index, phones in enumerate(fragments):

        def within(share: float, index: int = index) -> None:
            report((index + share) / len(fragments))

        wave, complete = speaker.say(phones, request, generator, within)
        doubtful += not complete
        parts += [pause, wave] if parts else [wave]
        within(1.0)
    pcm = np.concatenate(parts)
    loudest = float(np.abs(pcm).max())
    if loudest > PEAK:
        pcm *= np.float32(PEAK / loudest)
    rate = voice.config.audio.sample_rate
    return Speech(pcm=pcm, rate=rate, seconds=len(pcm) / rate, doubtful=doubtful)


class _Speaker:
    """The two models of one voice, ready to say fragments."""

    def __init__(
        self, config: EngineConfig, semantic: Text2Semantic, acoustic: AcousticModel, reference: Reference, device: str
    ) -> None:
        self.config = config
        if device == "cpu":
            # Rounding apart the same as the modules themselves, at about twice the speed.
            self.semantic: Text2Semantic | Runner = prepare(semantic)
            self.acoustic = fast.prepare(acoustic)
        else:
            self.semantic = semantic.to(device)
            fold_weight_norm(acoustic)
            self.acoustic = acoustic.to(device)
        self.device = device
        self.prompt_phones = reference.phones.to(device)
        self.prompt_codes = reference.codes.to(device)
        self.style = reference.style.float().to(device)

    def say(
        self, ids: list[int], request: SpeechRequest, generator: torch.Generator, progress: Callable[[float], None]
    ) -> tuple[npt.NDArray[np.float32], bool]:
        """One fragment -> its sound, and whether its codes look complete.

        An attempt is good when its codes are complete and can be heard; the last one that can be heard is kept.
        """
        kept: npt.NDArray[np.float32] | None = None
        failure = SynthesisFailed("no_codes", "the voice had nothing to say for a part of the text")
        for decoded in self._attempts(ids, request, generator, progress):
            if decoded.codes.numel() == 0:
                continue
            pcm = self._sound(decoded, ids, request, generator)
            try:
                check_audible(pcm, self.config.audio.sample_rate)
            except SynthesisFailed as error:
                failure = error
                continue
            kept = pcm
            if decoded.ended and decoded.codes.numel() >= LEAST_CODES_PER_PHONE * len(ids):
                return pcm, True
        if kept is None:
            raise failure
        return kept, False

    def _sound(
        self, decoded: Decoded, ids: list[int], request: SpeechRequest, generator: torch.Generator
    ) -> npt.NDArray[np.float32]:
        wave = self.acoustic.decode(
            decoded.codes[None],
            torch.tensor([ids], device=self.device),
            self.style,
            generator=generator,
            noise_scale=request.noise_scale,
            speed=request.speed,
        )
        pcm: npt.NDArray[np.float32] = wave[0, 0].float().cpu().numpy().copy()
        return pcm

    def _attempts(
        self, ids: list[int], request: SpeechRequest, generator: torch.Generator, progress: Callable[[float], None]
    ) -> Iterator[Decoded]:
        starter = self.config.version == "starter"
        sampling = request.sampling(STARTER_PENALTY if starter else OFFICIAL_PENALTY)
        target = torch.tensor([ids], device=self.device)
        prompted = self.prompt_codes.numel() > 0
        phones = torch.cat((self.prompt_phones[None], target), dim=1) if prompted else target
        prompt: Tensor | None = self.prompt_codes[None] if prompted else None
        most = code_bound(len(ids), self.prompt_phones.numel(), self.prompt_codes.numel())
        furthest = 0

        def count(codes: int) -> None:
            nonlocal furthest
            if codes > furthest:  # a new attempt starts again at 0; progress must not run backwards
                furthest = codes
                progress(0.9 * codes / most)

        for _ in range(ATTEMPTS):
            yield decode(
                self.semantic, phones, generator=generator, sampling=sampling, most=most, prompt=prompt, progress=count
            )


def check_audible(pcm: npt.NDArray[np.float32], rate: int) -> None:
    """Raise SynthesisFailed unless every sample is finite and at least a tenth of a second is louder than -50 dBFS."""
    check_finite(pcm)
    frame = max(1, round(FRAME_SECONDS * rate))
    frames = pcm[: len(pcm) // frame * frame].reshape(-1, frame)
    # The spread within a frame, not its size: a constant offset is not sound.
    audible = int((frames.std(axis=1) > AUDIBLE).sum())
    if audible * FRAME_SECONDS < LEAST_AUDIBLE_SECONDS:
        raise SynthesisFailed("silence", "the voice gave silence for a part of the text")


def check_finite(pcm: npt.NDArray[np.float32]) -> None:
    """Raise SynthesisFailed for NaN and infinity."""
    if not np.isfinite(pcm).all():
        raise SynthesisFailed("not_finite", "the voice gave values that are not sound")


def _fragments(request: SpeechRequest, config: EngineConfig) -> list[list[int]]:
    """Phones of every fragment that has something to say; no letter of the text may get lost on the way."""
    pieces = frontend.split(request.text, request.split_method)
    if _letters("".join(pieces)) != _letters(request.text):
        raise TextError("lost_text", "splitting the text would lose a part of it")
    fragments = []
    for piece in pieces:
        if not _letters(piece):
            continue  # punctuation alone is a pause that is there already
        ids = frontend.to_phones(piece, request.language).ids
        if not ids:
            raise TextError("unspeakable", "a part of the text has no pronunciation")
        if len(ids) > MOST_PHONES:
            raise TextError("fragment_too_long", "a fragment is too long; choose a split method that cuts more often")
        if max(ids) >= config.semantic.phonemes or min(ids) < 0:
            raise TextError("unsupported_language", "this voice does not know the sounds of this text")
        fragments.append(ids)
    if not fragments:
        raise TextError("empty_text", "there is nothing to say")
    if config.semantic.bert_dim and request.language == "zh":
        raise TextError(
            "unsupported_language", "Chinese with this model needs BERT features, which a voice file does not bring"
        )
    return fragments


def _letters(text: str) -> str:
    """What must survive splitting: letters and digits, in the composed form that the frontend works on."""
    return "".join(character for character in unicodedata.normalize("NFC", text) if character.isalnum())


def _ignore(_: float) -> None:
    """Nobody asked for progress."""
