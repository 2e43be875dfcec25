"""Recognisers that had no part in the training of any voice: what words, and what phones, does a stranger hear?

English: pocketsphinx (BSD; its acoustic model was trained on people's speech) in five ways. Each decoder hears one
utterance after the other and forgets the speaker before.

* matrix: a JSGF grammar of the matrix sentences. Five words are always heard, so every error is a wrong word, and
  guessing is wrong nine times of ten.
* loop: any of the matrix words in any order and number: words left out and said twice show.
* open: the package's own trigram language model, for any sentence.
* phones: the package's own loop over phones, no words at all.
* followed: a grammar that is the text itself, in which any word may be left out or go back to the one before it. What
  it says of words left out and said again does not depend on whether anybody would have guessed them. It hears the
  same sound again with a hair's difference where it finds fault: only what is wrong every time is.

Mandarin: a small recogniser of our own (`mandarin_hearing`), because none is known that has this licence and needs no
download. It was trained apart on formant synthesis, never on people. Other languages are refused by name.
"""

from __future__ import annotations

import functools
import math
import re
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import pocketsphinx
import soxr

from cloning.engine.errors import EngineError
from cloning.engine.evaluate.texts import MATRIX

RATE = 16_000
MODEL = "pocketsphinx-5.1.1/en-us"
#: Frames of the recogniser a second.
FRAMES = 100
#: As upstream's documentation has them for a phone loop.
_PHONE_LOOP = {"lw": 2.0, "beam": 1e-20, "pbeam": 1e-20}
#: Chances that a word is left out, and that it goes back (`followed`): chosen on what sources say (docs/evaluation.md).
LEFT_OUT, BACK = 0.01, 0.03
#: How a sound is heard again (`differently`): begun later by seconds, at other speeds, with noise of this deviation.
LATER, SPEEDS, WHISPER = 0.005, (1 / 1.03, 1.03), 1e-3
_VARIANT = re.compile(r"\(\d+\)$")
_PHONE = re.compile(r"[A-Z]+")
_SILENCE = frozenset({"SIL"})


class NoRecogniser(EngineError):
    """There is no recogniser for the language (code `no_recogniser`)."""


class Recogniser(Protocol):
    """What hears one language. Waves are float32 (samples,) at RATE."""

    @property
    def name(self) -> str: ...

    def words(self, wave: np.ndarray, how: str) -> tuple[str, ...]:
        """Words heard; `how` is a set of texts, or "loop"."""

    def phones(self, wave: np.ndarray) -> tuple[str, ...]:
        """Phones heard, silence left out."""

    def pronunciations(self, word: str) -> tuple[tuple[str, ...], ...]:
        """How the word may sound; none for a word that is not known."""

    def same(self, one: str, other: str) -> bool:
        """Can the two words not be told apart by ear?"""

    def durations(self, wave: np.ndarray, words: Sequence[str]) -> tuple[float, ...] | None:
        """Seconds of each of the words that are known to be said, None when they cannot be laid over the sound."""

    def followed(self, wave: np.ndarray, words: Sequence[str]) -> tuple[str, ...] | None:
        """The words of this text as they are said one after the other, some perhaps left out or said again; the text
        itself where one of several hearings of the sound finds it whole. None where that cannot be asked: unknown
        words, or a recogniser that does not follow texts."""


def recogniser(language: str) -> Recogniser:
    """The recogniser of a language. Raises NoRecogniser."""
    if language == "zh":
        # Here, because it needs torch and the other does not.
        from cloning.engine.evaluate.mandarin_hearing import mandarin_ears

        return mandarin_ears()
    if language != "en":
        raise NoRecogniser("no_recogniser", f"there is no recogniser for {language!r} that had no part in the training")
    return PocketSphinx()


@dataclass(frozen=True, slots=True)
class PocketSphinx:
    """English. Decoders are made when first needed and kept for the process; not for use by several threads."""

    name: str = MODEL

    def words(self, wave: np.ndarray, how: str) -> tuple[str, ...]:
        heard = (_VARIANT.sub("", segment.word) for segment in _heard(_word_decoder(how), wave))
        return tuple(word for word in heard if word[0] not in "<[+")

    def phones(self, wave: np.ndarray) -> tuple[str, ...]:
        heard = (segment.word for segment in _heard(_phone_decoder(), wave))
        return tuple(phone for phone in heard if _PHONE.fullmatch(phone) and phone not in _SILENCE)

    def pronunciations(self, word: str) -> tuple[tuple[str, ...], ...]:
        return _dictionary().get(word, ())

    def same(self, one: str, other: str) -> bool:
        return one == other or bool(set(self.pronunciations(one)) & set(self.pronunciations(other)))

    def durations(self, wave: np.ndarray, words: Sequence[str]) -> tuple[float, ...] | None:
        decoder = _aligner()
        if any(not self.pronunciations(word) for word in words):
            return None
        decoder.set_align_text(" ".join(words))
        try:
            segments = [segment for segment in _heard(decoder, wave) if segment.word[0] not in "<[+"]
        except RuntimeError:  # the words do not fit the sound at all
            return None
        if [_VARIANT.sub("", segment.word) for segment in segments] != list(words):
            return None
        return tuple((segment.end_frame - segment.start_frame + 1) / FRAMES for segment in segments)

    def followed(self, wave: np.ndarray, words: Sequence[str]) -> tuple[str, ...] | None:
        if not words or any(not self.pronunciations(word) for word in words):
            return None
        decoder = _aligner()
        decoder.add_fsg("text", decoder.create_fsg("text", 0, len(words), following(words)))
        decoder.activate_search("text")
        first: tuple[str, ...] | None = None
        for sound in (wave, *differently(wave)):
            try:
                heard = [_VARIANT.sub("", segment.word) for segment in _heard(decoder, sound)]
            except RuntimeError:  # too short for anything
                return ()
            said = tuple(word for word in heard if word[0] not in "<[+(")
            if said == tuple(words):
                return said
            first = said if first is None else first
        return first


def following(words: Sequence[str]) -> list[tuple[int, int, float] | tuple[int, int, float, str]]:
    """The grammar that follows a text: transitions (from, to, probability, word), the word missing where none is said.
    State i stands behind i words."""
    arcs: list[tuple[int, int, float] | tuple[int, int, float, str]] = []
    for place, word in enumerate(words):
        arcs.append((place, place + 1, 1 - LEFT_OUT - BACK, word))
        arcs += [(place, place + 1, LEFT_OUT), (place + 1, place, BACK)]
    return arcs


def differently(wave: np.ndarray) -> Iterator[np.ndarray]:
    """The same sound, float32 (samples,) at RATE, where no person would notice a difference: begun half a frame later,
    a little slower, a little faster, and with noise 60 dB under full scale. A word that is missing is missing in all
    of them; one that the search let go by a narrow margin is not."""
    yield np.concatenate((np.zeros(round(LATER * RATE), dtype=np.float32), wave))
    for speed in SPEEDS:
        yield np.asarray(soxr.resample(wave, speed, 1.0), dtype=np.float32)
    noise = np.random.default_rng(1).normal(0.0, WHISPER, len(wave))
    yield wave + noise.astype(np.float32)


def at_rate(wave: np.ndarray, rate: int) -> np.ndarray:
    """Sound at RATE, float32 (samples,)."""
    if rate != RATE:
        wave = soxr.resample(wave, rate, RATE)
    return np.asarray(wave, dtype=np.float32)


def _heard(decoder: pocketsphinx.Decoder, wave: np.ndarray) -> list[pocketsphinx.Segment]:
    if not len(wave):
        return []
    pcm = (np.clip(wave, -1.0, 1.0) * 32_767.0).astype("<i2").tobytes()
    # Forget the channel of the speaker before: the cepstral mean would carry over.
    decoder.reinit_feat()
    decoder.start_utt()
    decoder.process_raw(pcm, full_utt=True)
    decoder.end_utt()
    return list(decoder.seg() or ())


@functools.cache
def _word_decoder(how: str) -> pocketsphinx.Decoder:
    if how not in ("matrix", "loop"):
        return pocketsphinx.Decoder(loglevel="FATAL")
    known = [word.lower() for slot in MATRIX for word in slot]
    with tempfile.TemporaryDirectory() as folder:
        # The matrix words alone: a tree of the whole dictionary takes many times longer to build and to search.
        names, model = Path(folder, "words.dict"), Path(folder, "loop.arpa")
        names.write_text(_entries(known), encoding="utf-8")
        model.write_text(_unigrams(known), encoding="utf-8")
        if how == "loop":
            return pocketsphinx.Decoder(dict=str(names), lm=str(model), loglevel="FATAL")
        decoder = pocketsphinx.Decoder(dict=str(names), lm=None, loglevel="FATAL")
    decoder.add_jsgf_string("matrix", grammar())
    decoder.activate_search("matrix")
    return decoder


@functools.cache
def _phone_decoder() -> pocketsphinx.Decoder:
    loop = Path(pocketsphinx.get_model_path(), "en-us", "en-us-phone.lm.bin")
    return pocketsphinx.Decoder(allphone=str(loop), lm=None, loglevel="FATAL", **_PHONE_LOOP)


@functools.cache
def _aligner() -> pocketsphinx.Decoder:
    return pocketsphinx.Decoder(lm=None, loglevel="FATAL")


def grammar() -> str:
    """The matrix sentences as a JSGF grammar."""
    names = ("name", "verb", "number", "adjective", "noun")
    rules = [
        f"<{name}> = {' | '.join(word.lower() for word in slot)};" for name, slot in zip(names, MATRIX, strict=True)
    ]
    whole = " ".join(f"<{name}>" for name in names)
    return "\n".join(["#JSGF V1.0;", "grammar matrix;", f"public <sentence> = {whole};", *rules]) + "\n"


def _unigrams(words: Sequence[str]) -> str:
    """A uniform unigram model in ARPA format, base 10 logarithms; the end of the sentence is one more word."""
    each = math.log10(1.0 / (len(words) + 1))
    body = "".join(f"{each:.4f} {word}\n" for word in ("</s>", *words))
    return f"\\data\\\nngram 1={len(words) + 2}\n\n\\1-grams:\n-99 <s>\n{body}\n\\end\\\n"


def _entries(words: Sequence[str]) -> str:
    """Lines of a dictionary: all pronunciations of the words, later ones numbered."""
    lines = []
    for word in words:
        for number, phones in enumerate(_dictionary()[word], 1):
            lines.append(f"{word}{f'({number})' if number > 1 else ''} {' '.join(phones)}\n")
    return "".join(lines)


@functools.cache
def _dictionary() -> dict[str, tuple[tuple[str, ...], ...]]:
    """The recogniser's own pronunciations, all variants."""
    path = Path(pocketsphinx.get_model_path(), "en-us", "cmudict-en-us.dict")
    found: dict[str, list[tuple[str, ...]]] = {}
    for line in path.read_text("utf-8").splitlines():
        word, *phones = line.split()
        found.setdefault(_VARIANT.sub("", word), []).append(tuple(phones))
    return {word: tuple(variants) for word, variants in found.items()}
