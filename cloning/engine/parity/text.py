"""The text front end: normalised text, phones and ids of every sentence; cutting methods; language segmentation."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from cloning.engine.errors import EngineError
from cloning.engine.parity.folder import Folder, FolderError
from cloning.engine.parity.sheet import Row, Sheet
from cloning.engine.text.cuts import presegment, upstream_cut
from cloning.engine.text.phones import clean
from cloning.engine.text.segment import segment

#: Share of sentences whose ids must be identical. Every other sentence is listed in the details.
LEAST_IDENTICAL = 0.98
_FIELDS = ("norm", "phones", "word2ph", "ids")
_CUT_NAME = re.compile(r"(?:preseg_(?P<language>[a-z]+)_)?(?P<method>cut\d)")


def readings(folder: Folder, name: str, group: str) -> Row:
    """`text_<language>.json` (v2 symbols) or `text_v1.json` (rows name their language)."""
    rows = _rows(folder.table(name))
    stem = name.removeprefix("text_").split(".")[0].split("_")[0]
    version = "v1" if stem == "v1" else "v2"
    differing = []
    right = dict.fromkeys(_FIELDS, 0)
    for row in rows:
        got = _read(row["text"], row.get("lang", stem), version)
        same = {field: got.get(field) == row.get(field) for field in _FIELDS}
        for field in _FIELDS:
            right[field] += same[field]
        if not all(same.values()):
            differing.append({"text": row["text"], "expected": {f: row.get(f) for f in _FIELDS}, "got": got})
    sheet = Sheet({"ids": rows})
    sheet.ignore(["ids"])
    sheet.share("ids", right["ids"], len(rows), LEAST_IDENTICAL)
    return sheet.row(name, group, {"rows": len(rows), "identical": right, "differing": differing})


def cuts(folder: Folder, name: str, group: str) -> Row:
    """`cuts.json`: the six methods, and the chain around them. An `error` object: the official code fails there, and so
    must ours, by name."""
    rows = _rows(folder.table(name))
    differing: list[dict[str, Any]] = []
    compared = 0
    for row in rows:
        for key, expected in row.items():
            if key == "text":
                continue
            form = _CUT_NAME.fullmatch(key)
            if form is None:
                raise FolderError(f"has a column {key!r} that is not understood")
            got = _cut(row["text"], form["method"], form["language"])
            compared += 1
            if got != ({"error": True} if isinstance(expected, dict) and "error" in expected else expected):
                differing.append({"text": row["text"], "column": key, "expected": expected, "got": got})
    sheet = Sheet({})
    sheet.share("pieces", compared - len(differing), compared, 1.0)
    return sheet.row(name, group, {"compared": compared, "differing": differing})


def languages(folder: Folder, name: str, group: str) -> Row:
    """`langseg.json`, advisory: the official splitter asks a language model, ours need not agree on every clause."""
    rows = _rows(folder.table(name))
    differing = []
    compared = 0
    for row in rows:
        for key, expected in row.items():
            if key == "text":
                continue
            default = key.removeprefix("default_").replace("none", "")
            got = [{"lang": part.language, "text": part.text} for part in segment(row["text"], default, compat=True)]
            compared += 1
            if got != expected:
                differing.append({"text": row["text"], "column": key, "expected": expected, "got": got})
    wrong = len(differing) / compared if compared else 1.0
    details = {"compared": compared, "differing": differing}
    return Row(name, group, "advisory", wrong, "none", f"{compared - len(differing)} of {compared} alike", details)


def _read(text: str, language: str, version: str) -> dict[str, Any]:
    got = _or_error(lambda: clean(text, language, version=version, compat=True))
    if isinstance(got, dict):
        return got
    return {"norm": got.normalised, "phones": got.symbols, "word2ph": got.word2ph, "ids": got.ids}


def _cut(text: str, method: str, language: str | None) -> Any:
    if language is None:
        got = _or_error(lambda: upstream_cut(text, method))
    else:
        got = _or_error(lambda: presegment(text, method, language, compat=True))
    return {"error": True} if isinstance(got, dict) else got


def _or_error(call: Callable[[], Any]) -> Any:
    """The call's value, or {"error": code} when the engine refuses."""
    try:
        return call()
    except EngineError as error:
        return {"error": error.code}


def _rows(table: object) -> list[dict[str, Any]]:
    if not isinstance(table, list) or not table or not all(isinstance(row, dict) and "text" in row for row in table):
        raise FolderError("is not a list of rows with a text")
    return table
