"""The official v2 symbol table: 732 phones and marks of five languages. A symbol's row is its place in the table."""

from __future__ import annotations

import json
from importlib import resources

SYMBOLS: tuple[str, ...] = tuple(
    json.loads(resources.files("cloning.engine.text").joinpath("data/symbols_v2.json").read_text("utf-8"))
)
INDEX: dict[str, int] = {symbol: row for row, symbol in enumerate(SYMBOLS)}
#: Stands for a phone the table does not have.
UNKNOWN = "UNK"
#: Marks that models read as pauses and intonation.
PUNCTUATION = frozenset("!,-.?…")
