"""From text to the symbols the models read. `to_phones` for one piece, `split` for a long text; `front` for mixed text
in any of upstream's modes, `clean` for one language, `presegment` for upstream's own cutting."""

from cloning.engine.text.cuts import presegment, upstream_cut
from cloning.engine.text.frontend import Spoken, front
from cloning.engine.text.modes import MODES
from cloning.engine.text.phones import LANGUAGES, MAX_CHARACTERS, Phones, Word, clean, to_phones
from cloning.engine.text.segment import Segment, segment
from cloning.engine.text.split import METHODS, split

__all__ = [
    "LANGUAGES", "MAX_CHARACTERS", "METHODS", "MODES", "Phones", "Segment", "Spoken", "Word", "clean", "front",
    "presegment", "segment", "split", "to_phones", "upstream_cut",
]  # fmt: skip
