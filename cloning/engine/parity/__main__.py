"""`python -m cloning.engine.parity DIR [--only GROUP] [--json FILE]`: this engine against golden files.

DIR has a MANIFEST.json and the files it names. A row is printed for each file, then what is not implemented, and as
the last line `N passed, M failed`. Exit status: 0 when nothing failed, 1 otherwise, 2 for a folder or group that is not
there.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import sys
from pathlib import Path

import torch

from cloning.engine.parity.folder import Folder, FolderError
from cloning.engine.parity.groups import run
from cloning.engine.parity.sheet import Row


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="cloning.engine.parity", description="Compare the engine with golden files.")
    parser.add_argument("folder", type=Path, metavar="DIR")
    parser.add_argument("--only", action="append", metavar="GROUP", help="a group, or the beginning of a file's name")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows, with their details, here")
    parser.add_argument("--threads", type=int, default=0, help="torch threads (default: torch's own choice)")
    options = parser.parse_args(arguments)
    if options.threads > 0:
        torch.set_num_threads(options.threads)
    try:
        folder = Folder(options.folder)
    except FolderError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    rows: list[Row] = []
    for row in run(folder, options.only or []):
        rows.append(row)
        sys.stdout.write(row.line() + "\n")
        sys.stdout.flush()
    if not rows:
        sys.stderr.write("no file belongs to the groups asked for\n")
        return 2
    if options.json is not None:
        options.json.write_text(json.dumps([_plain(row) for row in rows], ensure_ascii=False, indent=1) + "\n", "utf-8")
    counts = {status: sum(row.status == status for row in rows) for status in ("passed", "failed")}
    for status in ("advisory", "not implemented"):
        files = [row.file for row in rows if row.status == status]
        if files:
            sys.stdout.write(f"{len(files)} {status}: {', '.join(files)}\n")
    sys.stdout.write(f"{counts['passed']} passed, {counts['failed']} failed\n")
    return 1 if counts["failed"] else 0


def _plain(row: Row) -> dict[str, object]:
    """JSON has no infinity: a shape that does not fit has no difference."""
    plain = dataclasses.asdict(row)
    plain["worst"] = row.worst if math.isfinite(row.worst) else None
    return plain


if __name__ == "__main__":
    raise SystemExit(main())
