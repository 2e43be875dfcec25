"""Which vocabulary words were spoken? pocketsphinx (BSD) over the whole vocabulary, every word equally likely.

The language is a free loop over the vocabulary: any number of words, in any order. It is given to the decoder as a
uniform unigram model, not as a JSGF grammar: the two describe the same language, but the decoder searches a unigram
model as a prefix tree (0.06 x real time at 1,500 words) and a grammar flat (2.2 x). The decoder is never told the
expected words and never aligns them: an alignment also "succeeds" for words that nobody said.
"""

from __future__ import annotations

import functools
import math
import re
import tempfile
import threading
from pathlib import Path
from typing import Final

import numpy as np
import pocketsphinx

from consent.biometrics.speech import packaged_file
from consent.biometrics.words import vocabulary

MODEL: Final = "pocketsphinx-5.1.1/en-us/uniform-unigram-1"
#: Decoding state is not shared between threads.
_LOCK: Final = threading.Lock()
_VARIANT: Final = re.compile(r"\(\d+\)$")


def _dictionary(words: tuple[str, ...]) -> str:
    """The recogniser's own pronunciations of these words, all variants."""
    wanted, lines, seen = set(words), [], set()
    source = packaged_file("pocketsphinx", "model", "en-us", "cmudict-en-us.dict")
    for line in source.read_text(encoding="utf-8").splitlines():
        word = _VARIANT.sub("", line.split(" ", 1)[0])
        if word in wanted:
            lines.append(line)
            seen.add(word)
    if seen != wanted:
        raise ValueError(f"the recogniser does not know: {', '.join(sorted(wanted - seen))}")
    return "\n".join(lines) + "\n"


def _unigrams(words: tuple[str, ...]) -> str:
    """A uniform unigram model in ARPA format, base 10 logarithms; the end of the sentence is one more word."""
    each = math.log10(1.0 / (len(words) + 1))
    body = "".join(f"{each:.4f} {word}\n" for word in ("</s>", *words))
    return f"\\data\\\nngram 1={len(words) + 2}\n\n\\1-grams:\n-99 <s>\n{body}\n\\end\\\n"


@functools.cache
def _decoder() -> pocketsphinx.Decoder:
    words = vocabulary()
    with tempfile.TemporaryDirectory() as folder:
        dictionary, model = Path(folder, "words.dict"), Path(folder, "words.arpa")
        dictionary.write_text(_dictionary(words), encoding="utf-8")
        model.write_text(_unigrams(words), encoding="utf-8")
        return pocketsphinx.Decoder(dict=str(dictionary), lm=str(model), loglevel="FATAL")


def recognise(sound: np.ndarray) -> list[str]:
    """Vocabulary words heard in 16 kHz sound float32 (samples,), in order; silence and noise are left out."""
    pcm = (np.clip(sound, -1.0, 1.0) * 32_767.0).astype("<i2").tobytes()
    with _LOCK:
        decoder = _decoder()
        # Forget the channel of the speaker before: the cepstral mean would carry over.
        decoder.reinit_feat()
        decoder.start_utt()
        decoder.process_raw(pcm, full_utt=True)
        decoder.end_utt()
        heard = [_VARIANT.sub("", segment.word) for segment in decoder.seg() or ()]
    known = _known()
    return [word for word in heard if word in known]


@functools.cache
def _known() -> frozenset[str]:
    return frozenset(vocabulary())
