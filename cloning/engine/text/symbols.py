"""The official symbol tables: 322 phones and marks of three languages (v1), 732 of five (v2). A symbol's row is its
place in the table."""

from __future__ import annotations

import functools
import json
from importlib import resources

from cloning.engine.errors import TextError

#: Versions of the table. v3, v4, v2Pro and v2ProPlus read with the table of v2.
VERSIONS = ("v1", "v2")


@functools.cache
def table(version: str = "v2") -> dict[str, int]:
    """Symbol to its row. Raises TextError `unknown_symbol_table`."""
    if version not in VERSIONS:
        raise TextError("unknown_symbol_table", f"{version!r} is not one of the symbol tables {', '.join(VERSIONS)}")
    path = resources.files("cloning.engine.text").joinpath(f"data/symbols_{version}.json")
    return {symbol: row for row, symbol in enumerate(json.loads(path.read_text("utf-8")))}


INDEX: dict[str, int] = table("v2")
SYMBOLS: tuple[str, ...] = tuple(INDEX)
#: Stands for a phone the table does not have.
UNKNOWN = "UNK"
#: Marks that models read as pauses and intonation.
PUNCTUATION = frozenset("!,-.?…")
