"""From text to the symbols the models read. `to_phones` for one piece, `split` for a long text."""

from cloning.engine.text.phones import LANGUAGES, MAX_CHARACTERS, Phones, Word, to_phones
from cloning.engine.text.split import METHODS, split

__all__ = ["LANGUAGES", "MAX_CHARACTERS", "METHODS", "Phones", "Word", "split", "to_phones"]
