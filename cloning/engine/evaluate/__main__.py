"""`python -m cloning.engine.evaluate VOICE [VOICE ...] --source FOLDER --out REPORT`: measure voices.

VOICE is SPEAKER=PATH (a voice file or an official folder) or SPEAKER=zero-shot (the base speaking like the speaker's
`reference` recording); a PATH alone is of the speaker that its name before the first dot says. FOLDER holds a folder of
recordings for each speaker (see `source`). REPORT receives report.json and index.html.
"""

from __future__ import annotations

import argparse
import json
import platform
import re
import shlex
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from cloning.engine.errors import EngineError
from cloning.engine.evaluate.texts import SETS, Item, items

#: Grows when a reader of older reports could misread a new one.
SCHEMA = "vouch-evaluation/1"
ZERO_SHOT = "zero-shot"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


@dataclass(frozen=True, slots=True)
class Wanted:
    """One voice of the command line. `path` None: zero-shot."""

    name: str
    speaker: str
    path: Path | None


def main(arguments: list[str] | None = None) -> int:
    """Exit status: 0 measured, 1 refused (the reason is on stderr)."""
    given = sys.argv[1:] if arguments is None else arguments
    options = _parser().parse_args(given)
    try:
        report, page = _run(options, given)
        options.out.mkdir(parents=True, exist_ok=True)
        text = json.dumps(report, indent=1, ensure_ascii=False, allow_nan=False)
        (options.out / "report.json").write_text(text + "\n", "utf-8")
        (options.out / "index.html").write_text(page, "utf-8")
    except (EngineError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(f"{options.out / 'index.html'}\n")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="cloning.engine.evaluate", description="Measure voices.")
    parser.add_argument("voices", nargs="+", metavar="VOICE", help="SPEAKER=PATH, PATH, or SPEAKER=zero-shot")
    parser.add_argument("--source", type=Path, required=True, help="a folder of recordings for each speaker")
    parser.add_argument("--out", type=Path, required=True, help="folder of report.json and index.html")
    parser.add_argument("--language", choices=sorted(SETS), default="en")
    parser.add_argument("--sets", default=None, help="texts, with commas between; default: all of the language")
    parser.add_argument("--limit", type=int, default=None, help="so many texts of each set: a look, not a figure")
    parser.add_argument("--held-out", default="", help="speakers no training has heard, with commas between")
    parser.add_argument("--base", default="starter", help="of zero-shot voices: starter, or a folder with a base")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1, help="of the voice while it speaks")
    parser.add_argument("--temperature", type=float, default=None, help="default: the voice's own")
    parser.add_argument("--top-k", type=int, default=None, help="the same")
    parser.add_argument("--split", default="cut5", help="cut0 to cut5")
    parser.add_argument("--steps", type=int, default=32, help="of the flow of v3 and v4 voices, 1 to 128")
    parser.add_argument("--models", type=Path, default=None, help="models folder of official voices")
    parser.add_argument("--players", type=int, default=3, help="sentences of each set that the page lets one hear")
    parser.add_argument("--cache", type=Path, default=None, help="remember in this folder what was heard")
    parser.add_argument("--audio", type=Path, default=None, help="also keep every sound, as WAV, in this folder")
    return parser


def _run(options: argparse.Namespace, given: Sequence[str]) -> tuple[dict[str, Any], str]:
    from cloning.engine.evaluate import session

    wanted = _wanted(options.voices)
    texts = _texts(options)
    if not 0 <= options.seed < 2**31 or not 1 <= options.threads <= 256 or options.players < 0:
        raise EngineError("bad_request", "the seed must be 0 to 2^31 - 1, the threads 1 to 256, the players 0 or more")
    if not 1 <= options.steps <= 128:
        raise EngineError("bad_request", "sampling takes 1 to 128 steps")
    with tempfile.TemporaryDirectory(prefix="evaluate-") as scratch:
        run = session.Session(options, texts, options.audio or Path(scratch))
        voices = [run.voice(one.name, one.speaker, one.path) for one in wanted]
        report = {
            "schema": SCHEMA,
            "command": "python -m cloning.engine.evaluate " + shlex.join(given),
            "versions": _versions(),
            "machine": _machine(),
            "settings": run.settings(),
            "voices": voices,
        }
        return report, run.html(report)


def _wanted(voices: Sequence[str]) -> list[Wanted]:
    found: list[Wanted] = []
    for text in voices:
        speaker, given, rest = text.partition("=")
        path = Path(rest if given else text)
        speaker = speaker if given else path.name.partition(".")[0]
        zero_shot = bool(given) and rest == ZERO_SHOT
        name = f"{speaker}-{ZERO_SHOT}" if zero_shot else path.name.partition(".")[0]
        if not _NAME.fullmatch(speaker) or not _NAME.fullmatch(name):
            raise EngineError("bad_request", "names of speakers and voices are letters, digits, - and _")
        if any(other.name == name for other in found):
            raise EngineError("bad_request", f"there are two voices called {name}")
        found.append(Wanted(name, speaker, None if zero_shot else path))
    return found


def _texts(options: argparse.Namespace) -> tuple[Item, ...]:
    names = SETS[options.language] if options.sets is None else tuple(options.sets.split(","))
    unknown = set(names) - set(SETS[options.language])
    if unknown or not names:
        raise EngineError("bad_request", f"the sets of this language are {', '.join(SETS[options.language])}")
    if options.limit is not None and options.limit < 1:
        raise EngineError("bad_request", "the limit is a positive number")
    return tuple(item for name in names for item in items(name)[: options.limit])


def _versions() -> dict[str, str]:
    names = ("vouch", "torch", "numpy", "pocketsphinx", "resemblyzer")
    found = {}
    for name in names:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "not installed"
    return {"python": platform.python_version(), **found}


def _machine() -> dict[str, str]:
    from cloning.engine.bench.__main__ import machine

    return {name: ", ".join(value) if isinstance(value, list) else str(value) for name, value in machine().items()}


if __name__ == "__main__":
    raise SystemExit(main())
