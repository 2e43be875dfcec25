"""``vouch verify FILE``: one verdict over every label of a sound file, offline.

Beside the file it reads what it is given or finds: ``FILE.c2pa`` (the manifest of an Ogg file), ``FILE.proof.json``
(from ``/api/v1/outputs/ID/proof``), a folder of keys (``log.pub``, ``provenance.pub``, ``c2pa-root.pem``, and for
whoever holds the secret ``mark.key``), the issued payloads, a status list. What is missing leaves a layer unchecked,
and the report says which.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from watermark.evidence import Materials
    from watermark.verdict import Report

MAX_FILE = 400 * 1024 * 1024
MAX_SIDE = 4 * 1024 * 1024
MAX_MARKS = 512 * 1024 * 1024
"""Bytes of a list of issued payloads that are read: some 30 million of them."""
UNCHECKED = 3
"""Exit code when the file cannot even be looked at: the same as for ``inconclusive``."""
USAGE = 64
"""Exit code for wrong arguments; 2, argparse's own, means not_found here."""


class Unusable(Exception):
    """Something that was handed in cannot be used; the message names it."""


class Parser(argparse.ArgumentParser):
    """A parser whose commands choose the exit code of a usage error: it must not be one of their verdicts."""

    usage_code = 2

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(self.usage_code, f"{self.prog}: error: {message}\n")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", type=Path)
    parser.add_argument("--profile", default="eu", choices=("cn", "eu", "in", "us"), help="whose law (default: eu)")
    parser.add_argument("--proof", type=Path, metavar="JSON", help="statement and receipt (default: FILE.proof.json)")
    parser.add_argument("--sidecar", type=Path, metavar="C2PA", help="manifest of an Ogg file (default: FILE.c2pa)")
    parser.add_argument("--keys", type=Path, metavar="DIR", help="log.pub, provenance.pub, c2pa-root.pem, mark.key")
    parser.add_argument(
        "--marks", type=Path, metavar="FILE", help="issued payloads, one a line (manage.py export_marks)"
    )
    parser.add_argument("--status", type=Path, metavar="JWT", help="a signed status list (/api/v1/status/N)")
    parser.add_argument("--json", action="store_true", help="the whole report as JSON")


def run(options: argparse.Namespace) -> int:
    """Prints the report and returns its exit code: 0 compliant, 1 noncompliant, 2 not_found, 3 inconclusive."""
    from watermark import verdict
    from watermark.labels.profile import load_profile

    try:
        data = _bytes(options.file, MAX_FILE)
        materials = gather(options)
    except (Unusable, OSError) as error:
        said = {"verdict": "inconclusive", "error": str(error)}
        sys.stdout.write(f"{json.dumps(said)}\n" if options.json else f"INCONCLUSIVE: {error}\n")
        return UNCHECKED
    report = verdict.judge(data, load_profile(options.profile), materials, datetime.now(UTC))
    if options.json:
        sys.stdout.write(json.dumps(report.as_json(), indent=2, ensure_ascii=False) + "\n")
    else:
        sys.stdout.writelines(f"{line}\n" for line in _lines(report))
    return verdict.EXIT[report.verdict]


def gather(options: argparse.Namespace) -> Materials:
    """What was given or lies beside the file. Raises Unusable, OSError."""
    from watermark.evidence import Materials

    proof = _beside(options.proof, options.file, ".proof.json")
    sidecar = _beside(options.sidecar, options.file, ".c2pa")
    folder: Path | None = options.keys
    if folder is not None and not folder.is_dir():
        raise Unusable(f"{folder} is no folder")
    roots = _optional(folder, "c2pa-root.pem")
    return Materials(
        sidecar=_bytes(sidecar, MAX_SIDE) if sidecar else None,
        proof=_json(proof) if proof else None,
        roots=roots.decode("ascii", "replace") if roots else "",
        log_key=_key(folder, "log.pub"),
        signer_key=_key(folder, "provenance.pub"),
        mark_key=_key(folder, "mark.key"),
        issued=list(_payloads(options.marks)) if options.marks else (),
        status=_bytes(options.status, MAX_SIDE) if options.status else None,
    )


def _lines(report: Report) -> Iterable[str]:
    yield f"{report.verdict.upper().replace('_', ' ')} by profile {report.profile}"
    for layer in report.layers:
        if layer.name == "file" and not layer.findings:
            continue
        yield f"  {layer.name:<10} {layer.state}"
        for finding in layer.findings:
            yield f"             {finding.weight}: {finding.code}: {finding.detail}"
    yield "  The layers agree." if report.agree else "  The layers DO NOT agree:"
    for finding in report.disagreements:
        yield f"             {finding.code}: {finding.detail}"


def _beside(given: Path | None, file: Path, suffix: str) -> Path | None:
    if given is not None:
        return given
    found = file.with_name(file.name + suffix)
    return found if found.is_file() else None


def _bytes(path: Path, most: int) -> bytes:
    with path.open("rb") as file:
        data = file.read(most + 1)
    if len(data) > most:
        raise Unusable(f"{path.name} is larger than {most} bytes")
    return data


def _json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(_bytes(path, MAX_SIDE))
    except (ValueError, RecursionError) as error:
        raise Unusable(f"{path.name} is not JSON") from error
    if not isinstance(value, dict):
        raise Unusable(f"{path.name} is no proof")
    return value


def _optional(folder: Path | None, name: str) -> bytes | None:
    path = folder / name if folder else None
    return _bytes(path, MAX_SIDE) if path and path.is_file() else None


def _key(folder: Path | None, name: str) -> bytes | None:
    found = _optional(folder, name)
    if found is None:
        return None
    text = found.decode("ascii", "replace").strip()
    if not re.fullmatch(r"[0-9a-fA-F]{64}", text):
        raise Unusable(f"{name} does not hold 64 hexadecimal digits")
    return bytes.fromhex(text)


def _payloads(path: Path) -> Iterable[int]:
    for line in _bytes(path, MAX_MARKS).split():
        if not re.fullmatch(rb"[0-9]{1,15}", line) or not 0 < int(line) < 1 << 48:
            raise Unusable(f"{path.name} does not hold payloads, one a line")
        yield int(line)
