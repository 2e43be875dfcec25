"""Text to speech with one voice: split, phones, S1 codes, S2 sound.

Everything random comes from one `torch.Generator` made from the request's seed, so one seed is one result on one
machine. The sound exists only in the returned value. Whatever is not speech is refused, never returned: silence, values
that are not finite.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import torch

from cloning.engine import text as frontend
from cloning.engine.acoustic import fast
from cloning.engine.acoustic.adapted import adapted
from cloning.engine.acoustic.generator import LEAST_SPEED, MOST_SPEED, AcousticModel
from cloning.engine.acoustic.layers import fold_weight_norm
from cloning.engine.config import STARTER_CODES, EngineConfig
from cloning.engine.errors import EngineError, SynthesisFailed, TextError, VoiceFileError
from cloning.engine.formants import sharpen
from cloning.engine.reference import Reference
from cloning.engine.semantic.adapters import SemanticAdapters
from cloning.engine.semantic.runner import PlainRunner, Runner
from cloning.engine.semantic.sampling import Decoded, Sampling, Utterance, code_bound, decode_batch, prepare
from cloning.engine.starter import ears
from cloning.engine.text.phones import Phones
from cloning.engine.text.symbols import PUNCTUATION, table
from cloning.engine.voicefile import AdapterVoice, Voice

#: How codes are drawn when the request does not say. Official voices: upstream's values. The starter base reads best
#: when drawn cooler (open sentences: word error 0.43 beside 0.52); its codes repeat legitimately at 25 Hz: no penalty.
OFFICIAL_SAMPLING = Sampling(top_k=15, top_p=1.0, temperature=1.0, repetition_penalty=1.35)
STARTER_SAMPLING = Sampling(top_k=5, top_p=1.0, temperature=0.6, repetition_penalty=1.0)
#: Most phones of one fragment, the longest utterance the training recipe admits.
MOST_PHONES = 540
#: Longest fragment of a starter voice, in phones by language: about 12 s, the longest utterance its base has learnt
#: from. A longer one is cut between words, or the voice would lose its place.
STARTER_PHONES = {"en": 150, "zh": 80}
#: Marks that ended what its base has learnt from.
STARTER_ENDS = ".?!"
#: Longest pause between fragments, in seconds.
MOST_INTERVAL = 5.0
#: A fragment is tried this often when S1 does not end by itself or leaves words out, or when its codes give no sound.
ATTEMPTS = 5
#: Fastest speech that can hold all the words: below this many codes per phone, words are missing (25 phones a second is
#: the fastest training data; a little less because punctuation takes no time).
LEAST_CODES_PER_PHONE = 0.7
#: Loudest sample returned, just under full scale so that no later conversion to integers can wrap.
PEAK = 0.99
#: A frame of 20 ms counts as sound above -50 dBFS; speech needs a tenth of a second of such frames in every fragment,
#: and of a longer one at least 10 ms for each phone (the fastest speech there is takes 40).
FRAME_SECONDS = 0.02
AUDIBLE = 10 ** (-50 / 20)
LEAST_AUDIBLE_SECONDS = 0.1
AUDIBLE_SECONDS_PER_PHONE = 0.01


@dataclass(frozen=True, slots=True)
class SpeechRequest:
    """What to say and how. Raises EngineError("bad_request") when a number is out of range.

    seed 0..2^63-1. top_k, temperature, repetition_penalty: None = the default of the voice's model. speed 0.5..2
    (1 = as trained). noise_scale 0..2, liveliness of the latent. fragment_interval: seconds of silence between
    fragments. split_method: cut0..cut5 of the text frontend.
    """

    text: str
    seed: int
    language: str = "en"
    top_k: int | None = None
    top_p: float = 1.0
    temperature: float | None = None
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
        self.sampling(OFFICIAL_SAMPLING)

    def sampling(self, default: Sampling) -> Sampling:
        asked = {"top_k": self.top_k, "temperature": self.temperature, "repetition_penalty": self.repetition_penalty}
        given = {name: value for name, value in asked.items() if value is not None}
        try:
            return replace(default, top_p=self.top_p, **given)  # type: ignore[arg-type]
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


class ResidentBase:
    """A base's models made ready once, for voices of adapters that come and go: nothing of a voice stays here.

    Threads may share it. Making one costs the base's memory and about a second; a voice on it costs its own few
    megabytes while it speaks, and no merging.
    """

    def __init__(self, base: Voice, *, device: str = "cpu") -> None:
        self.base = base.for_speaking()
        self.base.digest()
        self.device = device
        semantic = self.base.build_semantic()
        self._runner = prepare(semantic) if device == "cpu" else PlainRunner(semantic.to(device))
        self._acoustic = fast.prepare(self.base.build_acoustic()).to(device)

    def speaker(self, voice: AdapterVoice) -> Speaker:
        """The voice on this base. Raises VoiceFileError `wrong_base`."""
        voice.check_base(self.base)
        adapters = SemanticAdapters(voice.config.semantic, voice.semantic, voice.scale)
        acoustic = adapted(self._acoustic, voice.acoustic, voice.scale)
        return Speaker(voice.config, self._runner, acoustic, voice.reference, self.device, adapters)


def synthesise(
    voice: Voice | AdapterVoice,
    request: SpeechRequest,
    *,
    progress: Callable[[float], None] | None = None,
    device: str = "cpu",
    base: ResidentBase | None = None,
) -> Speech:
    """Say the request's text in the voice.

    base: what a voice of adapters stands on; `device` is the base's own then. progress(share) is called with growing
    shares, at last 1.0. Raises TextError (nothing to say, unsupported language, fragment too long), VoiceFileError (a
    base without a reference; adapters without their base or on another one) and SynthesisFailed (silence, values that
    are not finite).
    """
    sentences = fragments(request, voice.config)
    speaker = whole_speaker(voice, device) if isinstance(voice, Voice) else _on_base(voice, base)
    generator = torch.Generator().manual_seed(request.seed)
    report = progress or _ignore
    pause = np.zeros(round(request.fragment_interval * voice.config.audio.sample_rate), dtype=np.float32)
    parts: list[npt.NDArray[np.float32]] = []
    doubtful = 0
    for index, phones in enumerate(sentences):

        def within(share: float, index: int = index) -> None:
            report((index + share) / len(sentences))

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


def whole_speaker(voice: Voice, device: str) -> Speaker:
    """The voice's models made ready. Raises VoiceFileError `no_reference`."""
    if voice.reference is None:
        raise VoiceFileError("no_reference", "this is a base, not a voice: it has no reference to speak like")
    semantic, acoustic = voice.build_semantic(), voice.build_acoustic()
    if device == "cpu":
        # Rounding apart the same as the modules themselves, at about twice the speed.
        return Speaker(voice.config, prepare(semantic), fast.prepare(acoustic), voice.reference, device)
    fold_weight_norm(acoustic)
    return Speaker(voice.config, PlainRunner(semantic.to(device)), acoustic.to(device), voice.reference, device)


def _on_base(voice: AdapterVoice, base: ResidentBase | None) -> Speaker:
    if base is None:
        raise VoiceFileError("needs_base", "this voice is what it adds to a base; the base is needed to speak with it")
    return base.speaker(voice)


class Speaker:
    """The two models of one voice, ready to say fragments; `adapters`: what the voice adds to S1."""

    def __init__(
        self,
        config: EngineConfig,
        semantic: Runner,
        acoustic: AcousticModel,
        reference: Reference,
        device: str,
        adapters: SemanticAdapters | None = None,
    ) -> None:
        self.config = config
        self.semantic = semantic
        self.acoustic = acoustic
        self.adapters = adapters
        self.device = device
        self.prompt_phones = reference.phones.to(device)
        self.prompt_codes = reference.codes.to(device)
        self.style = reference.style.float().to(device)
        self.ears = ears.known_to(config, acoustic)

    def say(
        self, ids: list[int], request: SpeechRequest, generator: torch.Generator, progress: Callable[[float], None]
    ) -> tuple[npt.NDArray[np.float32], bool]:
        """One fragment -> its sound, and whether its codes look complete.

        An attempt is good when its codes are complete and can be heard; the last one that can be heard is kept.
        """
        kept: npt.NDArray[np.float32] | None = None
        failure = SynthesisFailed("no_codes", "the voice had nothing to say for a part of the text")
        for decoded in self.attempts(ids, request, generator, progress):
            if decoded.codes.numel() == 0:
                continue
            pcm = self.sound(decoded, ids, request, generator)
            try:
                check_audible(pcm, self.config.audio.sample_rate, phones=len(ids))
            except SynthesisFailed as error:
                failure = error
                continue
            kept = pcm
            if complete(decoded, ids):
                return pcm, True
        if kept is None:
            raise failure
        return kept, False

    def sound(
        self, decoded: Decoded, ids: list[int], request: SpeechRequest, generator: torch.Generator
    ) -> npt.NDArray[np.float32]:
        """What an attempt's codes sound like."""
        wave = self.acoustic.decode(
            decoded.codes[None],
            torch.tensor([ids], device=self.device),
            self.style,
            generator=generator,
            noise_scale=request.noise_scale,
            speed=request.speed,
        )
        return sharpen(wave[0, 0].float().cpu().numpy().copy(), self.config.audio, self.config.acoustic.formant_gain)

    def attempts(
        self, ids: list[int], request: SpeechRequest, generator: torch.Generator, progress: Callable[[float], None]
    ) -> Iterator[Decoded]:
        """The codes of one fragment, at most ATTEMPTS times: for voices of the shipped base the best of several
        readings drawn together, by its own ears, then the others; for all others drawn again each time."""
        starter = self.config.version == "starter"
        sampling = request.sampling(STARTER_SAMPLING if starter else OFFICIAL_SAMPLING)
        target = torch.tensor(ids, device=self.device)
        prompted = self.prompt_codes.numel() > 0
        phones = torch.cat((self.prompt_phones, target)) if prompted else target
        prompt = self.prompt_codes if prompted else None
        most = code_bound(len(ids), self.prompt_phones.numel(), self.prompt_codes.numel())
        furthest = 0

        def count(codes: int) -> None:
            nonlocal furthest
            if codes > furthest:  # a new attempt starts again at 0; progress must not run backwards
                furthest = codes
                progress(0.9 * codes / (most * together))

        def drawn(source: torch.Generator) -> Utterance:
            return Utterance(phones, source, sampling, most, prompt=prompt, adapters=self.adapters)

        together = 1 if self.ears is None else ears.READINGS
        if self.ears is not None:
            # Each reading has chances of its own, all from the request's.
            seeds = torch.randint(2**63 - 1, (together,), generator=generator).tolist()
            readings = [drawn(torch.Generator().manual_seed(seed)) for seed in seeds]
            decoded_all = decode_batch(self.semantic, readings, progress=count, patience=ears.PATIENCE)
            yield from ranked(decoded_all, [self.ears.score(one.codes, ids) for one in decoded_all], ids)
            return
        for _ in range(ATTEMPTS):
            (decoded,) = decode_batch(self.semantic, [drawn(generator)], progress=count)
            yield decoded


def ranked(readings: Sequence[Decoded], scores: Sequence[float], ids: list[int]) -> list[Decoded]:
    """The best ATTEMPTS: complete ones from the best down, then, because the last is kept when all fail, the others up
    to the best."""
    places = sorted(range(len(readings)), key=lambda n: (complete(readings[n], ids), scores[n]), reverse=True)
    best = [readings[n] for n in places[:ATTEMPTS]]
    whole = [one for one in best if complete(one, ids)]
    return whole + best[len(whole) :][::-1]


def complete(decoded: Decoded, ids: list[int]) -> bool:
    """Did the model stop by itself, and not before its words could be said?"""
    return decoded.ended and decoded.codes.numel() >= LEAST_CODES_PER_PHONE * len(ids)


def check_audible(pcm: npt.NDArray[np.float32], rate: int, *, phones: int = 0) -> None:
    """Raise SynthesisFailed unless every sample is finite and enough of the sound is louder than -50 dBFS: a tenth of a
    second, and 10 ms for each of the phones it should hold."""
    check_finite(pcm)
    frame = max(1, round(FRAME_SECONDS * rate))
    frames = pcm[: len(pcm) // frame * frame].reshape(-1, frame)
    # The spread within a frame, not its size: a constant offset is not sound.
    audible = int((frames.std(axis=1) > AUDIBLE).sum())
    if audible * FRAME_SECONDS < max(LEAST_AUDIBLE_SECONDS, AUDIBLE_SECONDS_PER_PHONE * phones):
        raise SynthesisFailed("silence", "the voice gave silence for a part of the text")


def check_finite(pcm: npt.NDArray[np.float32]) -> None:
    """Raise SynthesisFailed for NaN and infinity."""
    if not np.isfinite(pcm).all():
        raise SynthesisFailed("not_finite", "the voice gave values that are not sound")


def check_language(version: str, codes: int, language: str) -> None:
    """Raise TextError `unsupported_language` for what a starter voice has not heard (CARD.md): its symbol table knows
    more, and it would babble. Voices of the first bases, whose codes were fewer, have heard English only."""
    known = ("en", "zh") if codes >= STARTER_CODES else ("en",)
    if version == "starter" and language not in known:
        raise TextError("unsupported_language", f"this voice speaks {', '.join(known)} only")


def fragments(request: SpeechRequest, config: EngineConfig) -> list[list[int]]:
    """Phones of every fragment that has something to say; no letter of the text may get lost on the way."""
    starter = config.version == "starter"
    check_language(config.version, config.semantic.codes, request.language)
    pieces = frontend.split(request.text, request.split_method)
    if _letters("".join(pieces)) != _letters(request.text):
        raise TextError("lost_text", "splitting the text would lose a part of it")
    found = []
    for piece in pieces:
        if not _letters(piece):
            continue  # punctuation alone is a pause that is there already
        read = frontend.to_phones(piece, request.language)
        if not read.ids:
            raise TextError("unspeakable", "a part of the text has no pronunciation")
        breaths = _breaths(read, STARTER_PHONES[request.language]) if starter else [read.ids]
        for ids in map(_ended, breaths) if starter else breaths:
            if len(ids) > MOST_PHONES:
                raise TextError(
                    "fragment_too_long", "a fragment is too long; choose a split method that cuts more often"
                )
            if max(ids) >= config.semantic.phonemes or min(ids) < 0:
                raise TextError("unsupported_language", "this voice does not know the sounds of this text")
            found.append(ids)
    if not found:
        raise TextError("empty_text", "there is nothing to say")
    if config.semantic.bert_dim and request.language == "zh":
        raise TextError(
            "unsupported_language", "Chinese with this model needs BERT features, which a voice file does not bring"
        )
    return found


def _breaths(read: Phones, most: int) -> list[list[int]]:
    """The phones in parts of about equal length, at most `most` each, cut before words only; a word that is longer
    stays whole."""
    parts = math.ceil(len(read.ids) / most)
    if parts == 1:
        return [read.ids]
    starts = [word.start for word in read.words if word.start and read.symbols[word.start] not in PUNCTUATION]
    wanted = (len(read.ids) * part / parts for part in range(1, parts))
    cuts = {max((start for start in starts if start <= place), default=0) for place in wanted}
    return [read.ids[a:b] for a, b in pairwise([0, *sorted(cuts - {0}), len(read.ids)])]


def _ended(ids: list[int]) -> list[int]:
    """A fragment whose last mark is one that all the starter's sentences ended in, a full stop in place of any other:
    behind a comma S1 goes on, and after the last word of a clause it makes up some more."""
    rows = table()
    ends, marks = {rows[mark] for mark in STARTER_ENDS}, {rows[mark] for mark in PUNCTUATION}
    if ids[-1] in ends:
        return ids
    last = max((place for place, row in enumerate(ids, 1) if row not in marks), default=len(ids))
    return [*ids[:last], rows["."]]


def _letters(text: str) -> str:
    """What must survive splitting: letters and digits, in the composed form that the frontend works on."""
    return "".join(character for character in unicodedata.normalize("NFC", text) if character.isalnum())


def _ignore(_: float) -> None:
    """Nobody asked for progress."""
