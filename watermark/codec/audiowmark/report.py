"""What was read, as the JSON that the stock tool prints, so that a program that reads the one can read the other."""

from __future__ import annotations

import json
from typing import Any

from watermark.codec.audiowmark.keys import Key
from watermark.codec.audiowmark.read import Candidate

#: Bytes of a report above which it is not read, and matches above which it is not believed.
MAX_BYTES, MAX_MATCHES = 4 * 1024 * 1024, 20_000
KINDS = ("A", "B", "AB", "ALL", "CLIP-A", "CLIP-B")


class BadReport(ValueError):
    """The text is not a report of audiowmark."""


def report(candidates: list[Candidate], key: Key, seconds: float) -> dict[str, Any]:
    """``{"length", "matches": [{"key", "pos", "bits", "quality", "error", "rating", "type", "speed"}]}``."""
    return {
        "length": _clock(seconds),
        "matches": [
            {
                "key": key.name,
                "pos": _clock(one.start_s),
                "bits": one.message.hex(),
                "quality": round(one.quality, 5),
                "error": round(one.error, 6),
                "rating": round(one.rating, 5),
                "type": one.kind,
                "speed": 1.0,
            }
            for one in candidates
        ],
    }


def parse(data: bytes) -> list[Candidate]:
    """The candidates of a report; positions are whole seconds. A ``-SPEED`` type keeps its name. Raises BadReport."""
    if len(data) > MAX_BYTES:
        raise BadReport(f"a report is at most {MAX_BYTES} bytes")
    try:
        matches = json.loads(data)["matches"]
        if not isinstance(matches, list) or len(matches) > MAX_MATCHES:
            raise BadReport("the report has no list of matches, or too long a one")
        return [_candidate(match) for match in matches]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise BadReport(f"not a report of audiowmark: {error}") from error


def _candidate(match: dict[str, Any]) -> Candidate:
    message, kind = bytes.fromhex(match["bits"]), str(match["type"])
    if len(message) != 16 or kind.removesuffix("-SPEED") not in KINDS:
        raise BadReport("a match without 128 bits or of an unknown type")
    minutes, seconds = str(match["pos"]).split(":")
    return Candidate(
        message=message,
        start_s=int(minutes) * 60.0 + int(seconds),
        quality=float(match["quality"]),
        error=float(match["error"]),
        kind=kind,
        rating=float(match["rating"]),
    )


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
