"""Which vocabulary words were spoken? English: pocketsphinx (BSD) over the whole vocabulary, every word equally likely.
Other languages: recognisers that a deployment mounts (`mount`); a language without one is not offered.

The English language model is a free loop over the vocabulary: any number of words, in any order. It is given to the
decoder as a uniform unigram model, not as a JSGF grammar: the two describe the same language, but the decoder searches
a unigram model as a prefix tree (0.06 x real time at 1,500 words) and a grammar flat (2.2 x). The decoder never aligns
the expected words: an alignment also "succeeds" for words that nobody said. At most some words are made likelier than
the others (`recognise`), and every other word stays in the running at every place.
"""

from __future__ import annotations

import functools
import math
import re
import tempfile
import threading
from collections.abc import Collection
from pathlib import Path
from typing import Final

import numpy as np
import pocketsphinx

from consent.biometrics import mounted_recognisers, words
from consent.biometrics.mounted_recognisers import MountedRecogniser, RecogniserMissing
from consent.biometrics.speech import packaged_file

MODEL: Final = "pocketsphinx-5.1.1/en-us/unigram-2"
#: Decoding state is not shared between threads.
_LOCK: Final = threading.Lock()
#: How many times likelier a favoured word is than another. Measured by the words that are then heard though nobody said
#: them (docs/biometrics.md).
FAVOUR: Final = 10.0
_VARIANT: Final = re.compile(r"\(\d+\)$")
BUILT_IN: Final = "en"
_mounted: dict[str, MountedRecogniser] = {}


def mount(folder: Path | str | None) -> tuple[str, ...]:
    """Use the recognisers of a folder (one sub-folder a language, see `mounted_recognisers`) and no other; None: none.

    Returns the languages. Raises RecogniserMissing, and then changes nothing.
    """
    found = {} if folder is None else mounted_recognisers.load(Path(folder))
    if BUILT_IN in found:
        raise RecogniserMissing("built_in", "English has its own recogniser; remove the folder 'en'")
    _mounted.clear()
    _mounted.update(found)
    return languages()


def languages() -> tuple[str, ...]:
    """Languages in which a challenge can be read here."""
    return (BUILT_IN, *sorted(_mounted))


def vocabulary(language: str = BUILT_IN) -> tuple[str, ...]:
    """The challenge words of a language. Raises RecogniserMissing `no_recogniser`."""
    return words.vocabulary() if language == BUILT_IN else _find(language).vocabulary


def model(language: str = BUILT_IN) -> str:
    """Name and version of what listens. Raises RecogniserMissing `no_recogniser`."""
    return MODEL if language == BUILT_IN else _find(language).model


def _find(language: str) -> MountedRecogniser:
    if language not in _mounted:
        raise RecogniserMissing("no_recogniser", f"no recogniser for {language!r} is mounted")
    return _mounted[language]


@functools.cache
def _dictionary(entries: tuple[str, ...]) -> str:
    """The recogniser's own pronunciations of these words, all variants."""
    wanted, lines, seen = set(entries), [], set()
    source = packaged_file("pocketsphinx", "model", "en-us", "cmudict-en-us.dict")
    for line in source.read_text(encoding="utf-8").splitlines():
        word = _VARIANT.sub("", line.split(" ", 1)[0])
        if word in wanted:
            lines.append(line)
            seen.add(word)
    if seen != wanted:
        raise ValueError(f"the recogniser does not know: {', '.join(sorted(wanted - seen))}")
    return "\n".join(lines) + "\n"


def _unigrams(entries: tuple[str, ...], favoured: Collection[str] = ()) -> str:
    """A unigram model in ARPA format, base 10 logarithms; the end of the sentence is one more word. Uniform but for
    the favoured words, which are FAVOUR times as likely as each of the others."""
    each = 1.0 / (len(entries) + 1 + len(favoured) * (FAVOUR - 1.0))
    body = "".join(
        f"{math.log10(each * (FAVOUR if word in favoured else 1.0)):.4f} {word}\n" for word in ("</s>", *entries)
    )
    return f"\\data\\\nngram 1={len(entries) + 2}\n\n\\1-grams:\n-99 <s>\n{body}\n\\end\\\n"


@functools.lru_cache(maxsize=2)
def _decoder(favoured: frozenset[str] = frozenset()) -> pocketsphinx.Decoder:
    """One decoder for each search: two measuring runs that replaced the search of one decoder crashed."""
    entries = words.vocabulary()
    with tempfile.TemporaryDirectory() as folder:
        dictionary, model = Path(folder, "words.dict"), Path(folder, "words.arpa")
        dictionary.write_text(_dictionary(entries), encoding="utf-8")
        model.write_text(_unigrams(entries, favoured), encoding="utf-8")
        return pocketsphinx.Decoder(dict=str(dictionary), lm=str(model), loglevel="FATAL")


def recognise(sound: np.ndarray, language: str = BUILT_IN, *, favoured: Collection[str] = ()) -> list[str]:
    """Vocabulary words heard in 16 kHz sound float32 (samples,), in order; silence and noise are left out.

    ``favoured``: vocabulary words to take for likelier than the rest (English only; a mounted recogniser has its own
    measure). Raises RecogniserMissing `no_recogniser`.
    """
    if language != BUILT_IN:
        return _find(language).recognise(sound)
    pcm = (np.clip(sound, -1.0, 1.0) * 32_767.0).astype("<i2").tobytes()
    with _LOCK:
        decoder = _decoder(frozenset(favoured)) if favoured else _decoder()
        # Forget the channel of the speaker before: the cepstral mean would carry over.
        decoder.reinit_feat()
        try:
            decoder.start_utt()
            decoder.process_raw(pcm, full_utt=True)
            decoder.end_utt()
        except BaseException:
            # Interrupted (a task's time limit): a decoder left within an utterance takes no other. Make a new one.
            _decoder.cache_clear()
            raise
        heard = [_VARIANT.sub("", segment.word) for segment in decoder.seg() or ()]
    known = _known()
    return [word for word in heard if word in known]


@functools.cache
def _known() -> frozenset[str]:
    return frozenset(words.vocabulary())
