"""Attacks on the consent gate, made and measured (ISO/IEC 30107-3).

An attacker wants a voice of somebody else: the live answer must read this challenge, look like no synthesis, and be the
person whose recordings are uploaded. `run` makes the presentations of one species and asks the gate's steps, each on
its own, so that the card can say which would have stopped what. A presentation that says other words than a challenge's
(recorded speech of the corpus never holds them) is not asked for its words; `Outcomes.steps` says so.

Corpus voices are recorded speech; text-to-speech voices and our own engine's clones come from the caller (`Attackers`),
because this package knows neither.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np

from consent.biometrics import copies, liveness, quality, speaker, speech, spoof, words
from consent.biometrics.attacks.outcomes import Outcome, Outcomes
from consent.biometrics.attacks.processing import PROCESSES
from consent.biometrics.attacks.splicing import JOINS, spliced
from consent.biometrics.audio import MAX_LIVE_SECONDS, MODEL_RATE, AudioError
from consent.biometrics.evidence import Evidence, Verdict

if TYPE_CHECKING:
    from consent.biometrics.calibrate.corpus import Voice

#: A text-to-speech voice: text to 16 kHz sound.
Speak = Callable[[str], np.ndarray]
#: A voice mask: 16 kHz speech to the same words in another voice.
Mask = Callable[[np.ndarray], np.ndarray]
#: Makes a reader of challenge words from a victim's recordings at 16 kHz, each with its text ("" where unknown).
Clone = Callable[[Sequence[tuple[np.ndarray, str]]], Callable[[Sequence[str]], np.ndarray]]

_Make = Callable[["Sequence[Voice]", "Attackers", random.Random], Iterator[Outcome]]
LIVENESS, SPOOF, SPEAKER = "liveness", "spoof", "speaker"
#: Seconds of a victim's upload; and of an answer, with the net speech that the gate asks of every live answer before
#: anything else (`quality`): whoever says less is asked to go on speaking, and none of the steps here is taken.
ENROLMENT_SECONDS: Final = 20.0
ANSWER_SECONDS: Final = 6.0
ANSWER_NET_SECONDS: Final = quality.MIN_NET_SECONDS["live"]
#: Presentations a victim at most, so that no voice outweighs the others.
EACH: Final = 4
#: Of words cut together more, because they cost an attacker nothing.
SPLICES: Final = 10
#: What an attacker's sound goes through in turn; every other presentation is sent as it is.
_WAYS: Final = tuple(name for name in PROCESSES if name not in ("none", "telephone"))
_SENTENCES: Final = (
    "The harbour lights were burning low when the last boat came home from the north.",
    "Please remember to water the plants on the balcony before you leave for work.",
    "A small brown dog ran across the meadow and barked at the passing train.",
    "My neighbour plays the violin every evening after the children have gone to bed.",
)


@dataclass(frozen=True)
class Attackers:
    """What the caller brings, by name: text-to-speech voices, clones made at once from a recording, clones that are
    trained on recordings with their texts (so that corpus voices, which have none, cannot be their victims), and voice
    masks."""

    voices: Mapping[str, Speak] = field(default_factory=dict)
    clones: Mapping[str, Clone] = field(default_factory=dict)
    trained_clones: Mapping[str, Clone] = field(default_factory=dict)
    masks: Mapping[str, Mask] = field(default_factory=dict)


def _replay(corpus: Sequence[Voice], brought: Attackers, rng: random.Random) -> Iterator[Outcome]:
    """An old answer of the victim is played for a new challenge: everything is genuine but the words."""
    for name, speak in brought.voices.items():
        answers = [(challenge := words.draw(rng=rng), _in_room(speak(", ".join(challenge)), rng)) for _ in range(EACH)]
        for challenge, _ in answers:
            fresh = words.draw(exclude=challenge, rng=rng)
            for old, answer in answers:
                if old != challenge:
                    yield _outcome(name, {LIVENESS: liveness.check(answer, MODEL_RATE, fresh)})
    for voice in corpus:
        for answer in _answers(voice, EACH):
            yield _outcome(voice.name, {LIVENESS: liveness.check(answer, MODEL_RATE, words.draw(rng=rng))})


def _splice(join: str) -> _Make:
    """The victim's own words, said on other days, cut together into the challenge (needs voices that can say them)."""

    def make(corpus: Sequence[Voice], brought: Attackers, rng: random.Random) -> Iterator[Outcome]:
        for _ in range(SPLICES):
            for name, speak in brought.voices.items():
                challenge = words.draw(rng=rng)
                answer = spliced([speak(word) for word in challenge], rng, join=join)
                yield _outcome(name, {LIVENESS: liveness.check(answer, MODEL_RATE, challenge)})

    return make


def _tts(corpus: Sequence[Voice], brought: Attackers, rng: random.Random) -> Iterator[Outcome]:
    """A ready-made synthetic voice reads the challenge for the victim."""
    for voice in corpus:
        upload = _upload(voice)
        for speak in brought.voices.values():
            challenge = words.draw(rng=rng)
            answer = _in_room(PROCESSES[rng.choice(("none", *_WAYS))](speak(", ".join(challenge))), rng)
            if upload is not None:
                yield Outcome(voice.name, _steps(answer, challenge, upload))


def _clones(corpus: Sequence[Voice], brought: Attackers, rng: random.Random) -> Iterator[Outcome]:
    """Our own engine, given a recording of the victim, reads the challenge, unmarked."""
    for target, read, upload in _readers(corpus, brought, brought.clones, rng):
        yield from _read(target, read, upload, rng)


def _trained(corpus: Sequence[Voice], brought: Attackers, rng: random.Random) -> Iterator[Outcome]:
    """Our own engine, trained on the victim's recordings, reads the challenge, unmarked."""
    for target, read, upload in _readers((), brought, brought.trained_clones, rng):
        yield from _read(target, read, upload, rng, count=2 * EACH)


def _masked_clones(corpus: Sequence[Voice], brought: Attackers, rng: random.Random) -> Iterator[Outcome]:
    """A clone of the victim reads the challenge through a voice mask, to look less like a clone."""
    for target, read, upload in _readers(corpus, brought, brought.clones, rng):
        for mask in brought.masks.values():
            yield from _read(target, read, upload, rng, mask=mask, count=2)


def _readers(
    corpus: Sequence[Voice], brought: Attackers, clones: Mapping[str, Clone], rng: random.Random
) -> Iterator[tuple[str, Callable[[Sequence[str]], np.ndarray], np.ndarray]]:
    """Name of the victim, a clone that reads challenges, the victim's upload."""
    for clone in clones.values():
        for voice in corpus:
            upload, known = _upload(voice), _joined(_last(voice), 8.0)
            if upload is not None and known:
                yield voice.name, clone([(known[-1], "")]), upload
        for name, speak in brought.voices.items():
            said = [(_in_room(speak(text), rng), text) for text in _SENTENCES]
            yield name, clone(said), np.concatenate([wave for wave, _ in said])


def _read(
    target: str,
    read: Callable[[Sequence[str]], np.ndarray],
    upload: np.ndarray,
    rng: random.Random,
    *,
    mask: Mask | None = None,
    count: int = EACH,
) -> Iterator[Outcome]:
    for number in range(count):
        challenge = words.draw(rng=rng)
        sound = read(challenge)
        way = rng.choice(_WAYS) if number % 2 else "none"
        answer = _in_room(PROCESSES[way](sound if mask is None else mask(sound)), rng)
        yield Outcome(target, _steps(answer, challenge, upload))


def _mask(corpus: Sequence[Voice], brought: Attackers, rng: random.Random) -> Iterator[Outcome]:
    """Somebody else speaks through a voice mask."""
    for voice, _, answer in _pairs(corpus, rng, same_gender=False):
        for mask in brought.masks.values():
            yield _impostor(voice, mask(answer), ask_spoof=True)


def _vocoder_mask(corpus: Sequence[Voice], brought: Attackers, rng: random.Random) -> Iterator[Outcome]:
    """The same through a mask that takes speech apart into source and filter: pitch and formants moved."""
    for voice, _, answer in _pairs(corpus, rng, same_gender=False):
        mask = copies.source_filter(40, pitch=rng.uniform(0.8, 1.3), formants=rng.uniform(0.9, 1.12))
        yield _impostor(voice, mask(answer), ask_spoof=True)


def _other_person(corpus: Sequence[Voice], brought: Attackers, rng: random.Random) -> Iterator[Outcome]:
    """Another real person answers for the victim."""
    for voice, _, answer in _pairs(corpus, rng, same_gender=False):
        yield _impostor(voice, answer)


def _same_gender(corpus: Sequence[Voice], brought: Attackers, rng: random.Random) -> Iterator[Outcome]:
    """Another real person of the victim's gender answers (voices whose packages tell it)."""
    for voice, _, answer in _pairs(corpus, rng, same_gender=True):
        yield _impostor(voice, answer)


_MAKERS: Final[dict[str, tuple[tuple[str, ...], _Make]]] = {
    "replay of an old challenge": ((LIVENESS,), _replay),
    **{f"spliced own words, {join}": ((LIVENESS,), _splice(join)) for join in JOINS},
    "text-to-speech voice": ((LIVENESS, SPOOF, SPEAKER), _tts),
    "our own engine's clone, zero-shot": ((LIVENESS, SPOOF, SPEAKER), _clones),
    "our own engine's clone, fine-tuned": ((LIVENESS, SPOOF, SPEAKER), _trained),
    "our own engine's clone, masked": ((LIVENESS, SPOOF, SPEAKER), _masked_clones),
    "another person, masked": ((SPOOF, SPEAKER), _mask),
    "another person, masked by a vocoder": ((SPOOF, SPEAKER), _vocoder_mask),
    "another person": ((SPEAKER,), _other_person),
    "same-gender impostor": ((SPEAKER,), _same_gender),
}
SPECIES: Final[tuple[str, ...]] = tuple(_MAKERS)


def run(
    species: str, *, corpus: Sequence[Voice], seed: int, attackers: Attackers | None = None, most: int = 400
) -> Outcomes:
    """Make and judge up to ``most`` presentations of one species. The same corpus, attackers and seed give the same.

    ``corpus``: voices that no model was fitted on. A species that needs something the caller did not bring makes none.
    Raises KeyError for an unknown species.
    """
    steps, make = _MAKERS[species]
    presentations = make(corpus, attackers or Attackers(), random.Random(f"{seed}/{species}"))  # noqa: S311 - attacks are to be repeated
    return Outcomes(species, steps, tuple(outcome for outcome, _ in zip(presentations, range(most), strict=False)))


def bona_fide(corpus: Sequence[Voice], *, most: int = EACH) -> Outcomes:
    """Genuine recordings of each voice, against an upload of its own: what the same steps hold up (BPCER)."""
    found = []
    for voice in corpus:
        upload = _upload(voice)
        for answer in _answers(voice, most) if upload is not None else ():
            found.append(_impostor(voice, answer, ask_spoof=True))
    return Outcomes("genuine speech", (SPOOF, SPEAKER), tuple(found))


def _steps(answer: np.ndarray, challenge: Sequence[str], upload: np.ndarray) -> dict[str, Verdict]:
    asked: dict[str, Callable[[], Evidence]] = {
        LIVENESS: lambda: liveness.check(answer, MODEL_RATE, challenge),
        SPOOF: lambda: spoof.score(answer, MODEL_RATE, own_mark_found=False),
        SPEAKER: lambda: speaker.verify([upload], answer, MODEL_RATE),
    }
    return {step: _verdict(ask) for step, ask in asked.items()}


def _verdict(ask: Callable[[], Evidence]) -> Verdict:
    """What cannot be listened to at all (a clone that fell silent) is held up too."""
    try:
        return ask().verdict
    except AudioError:
        return Verdict.REFUSE


def _impostor(voice: Voice, answer: np.ndarray, *, ask_spoof: bool = False) -> Outcome:
    upload = _upload(voice)
    assert upload is not None, "pairs are made of voices with enough speech"
    found = {SPOOF: _verdict(lambda: spoof.score(answer, MODEL_RATE, own_mark_found=False))} if ask_spoof else {}
    return Outcome(voice.name, found | {SPEAKER: _verdict(lambda: speaker.verify([upload], answer, MODEL_RATE))})


def _outcome(target: str, evidence: Mapping[str, Evidence]) -> Outcome:
    return Outcome(target, {step: found.verdict for step, found in evidence.items()})


def _pairs(
    corpus: Sequence[Voice], rng: random.Random, *, same_gender: bool
) -> Iterator[tuple[Voice, Voice, np.ndarray]]:
    """Every ordered pair of voices of different people, in random order, with one answer of the second."""
    pairs = [
        (voice, other)
        for voice in corpus
        for other in corpus
        if voice.person != other.person and voice.family != other.family
        if not same_gender or (voice.gender and voice.gender == other.gender)
    ]
    rng.shuffle(pairs)
    for voice, other in pairs:
        answers = _answers(other, EACH)
        if answers and _upload(voice) is not None:
            yield voice, other, rng.choice(answers)


def _upload(voice: Voice) -> np.ndarray | None:
    """The first seconds of a voice's first session; None where there are too few."""
    found = _joined(voice.sessions[0], ENROLMENT_SECONDS)
    return found[0] if found else None


def _last(voice: Voice) -> list[np.ndarray]:
    """Clips of a voice's last session, after what `_upload` may have taken from it."""
    clips = voice.sessions[-1]
    return clips if len(voice.sessions) > 1 else clips[len(clips) // 2 :]


def _answers(voice: Voice, most: int) -> list[np.ndarray]:
    """Up to ``most`` answers of a voice: clips of its last session, one after the other, until there is enough speech.

    A minute is as long as an answer may be: a voice that says less than enough in it has none.
    """
    found: list[np.ndarray] = []
    kept: list[np.ndarray] = []
    net = seconds = 0.0
    for clip in _last(voice):
        kept.append(clip)
        net += float(speech.frame_mask(clip).sum()) * speech.FRAME / MODEL_RATE
        seconds += clip.size / MODEL_RATE
        if seconds >= ANSWER_SECONDS and net >= ANSWER_NET_SECONDS:
            whole = np.concatenate(kept)
            # Measured again: what is speech depends on what is around it.
            if float(speech.frame_mask(whole).sum()) * speech.FRAME / MODEL_RATE < ANSWER_NET_SECONDS:
                continue
            if whole.size <= MAX_LIVE_SECONDS * MODEL_RATE:
                found.append(whole)
            kept, net, seconds = [], 0.0, 0.0
        if len(found) == most:
            break
    return found


def _joined(clips: Sequence[np.ndarray], seconds: float) -> list[np.ndarray]:
    """Clips one after the other, cut into recordings of ``seconds``."""
    whole = np.concatenate([np.zeros(0, np.float32), *clips])
    size = int(seconds * MODEL_RATE)
    return [whole[start : start + size] for start in range(0, whole.size - size + 1, size)]


def _in_room(wave: np.ndarray, rng: random.Random) -> np.ndarray:
    """Half a second of a quiet room before and after, noise at -60 dBFS throughout."""
    framed = np.pad(wave, MODEL_RATE // 2)
    noise = np.random.default_rng(rng.getrandbits(32)).normal(0.0, 1e-3, framed.size)
    return (framed + noise).astype(np.float32)


__all__ = ["SPECIES", "Attackers", "Outcome", "Outcomes", "Verdict", "bona_fide", "run"]
