"""`python -m cloning.engine.bench [--json FILE]`: speed and memory at full size, beside plain reference paths.

Each figure and its reference ran in the same process; the ratio is the result.

Weights are made by the recipe of the golden files, so no weight file is needed. Every part runs in a process of its
own, so that its peak memory is its own. Ratios compare CPU seconds of interleaved rounds; other work on the machine
disturbs them less than wall time, but not nothing.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

PARTS = ("semantic", "acoustic", "vocoders", "diffusion", "features", "sentence", "voices", "training", "versions")
#: Longest that one part may take.
MOST_SECONDS = 1800


def main(arguments: list[str] | None = None) -> int:
    """Exit status: 0 measured, 1 a part failed (its error is on stderr)."""
    parser = argparse.ArgumentParser(prog="cloning.engine.bench", description="Measure the engine against plain paths.")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every row here")
    parser.add_argument("--only", choices=PARTS, action="append", help="measure this part only")
    parser.add_argument("--threads", type=int, default=1, help="torch threads (default 1)")
    parser.add_argument("--quick", action="store_true", help="fewer rounds and steps: a look, not a figure")
    parser.add_argument("--part", choices=PARTS, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.part:
        return _measure(options.part, options.threads, options.quick, options.json)
    rows: list[dict[str, Any]] = []
    failed = False
    with tempfile.TemporaryDirectory() as scratch:
        for part in options.only or PARTS:
            report = Path(scratch) / f"{part}.json"
            command = [sys.executable, "-m", "cloning.engine.bench", "--part", part, "--json", str(report)]
            command += ["--threads", str(options.threads)] + (["--quick"] if options.quick else [])
            environment = {**os.environ, "OMP_NUM_THREADS": str(options.threads)}
            done = subprocess.run(command, env=environment, timeout=MOST_SECONDS, check=False)
            if done.returncode != 0:
                sys.stderr.write(f"{part}: failed with exit status {done.returncode}\n")
                failed = True
                continue
            measured = json.loads(report.read_text("utf-8"))
            rows += measured
            sys.stdout.write("".join(line(row) + "\n" for row in measured))
            sys.stdout.flush()
    if options.json is not None:
        whole = {"machine": machine(), "threads": options.threads, "quick": options.quick, "rows": rows}
        options.json.write_text(json.dumps(whole, indent=1) + "\n", "utf-8")
    return 1 if failed else 0


def _measure(part: str, threads: int, quick: bool, report: Path | None) -> int:
    import torch

    torch.set_num_threads(threads)
    rows = importlib.import_module(f"cloning.engine.bench.{part}").run(threads=threads, quick=quick)
    if report is not None:
        report.write_text(json.dumps(rows) + "\n", "utf-8")
    return 0


def line(row: dict[str, Any]) -> str:
    """A row as printed: what was measured, then every figure by name."""
    names = [str(row[key]) for key in ("part", "variant", "precision") if row.get(key)]
    batch = [f"batch {row['batch']}"] if "batch" in row else []
    figures = [
        f"{key} {value:.4g}" if isinstance(value, float) else f"{key} {value}"
        for key, value in row.items()
        if key not in ("part", "variant", "precision", "batch") and value is not None
    ]
    return f"{' '.join([*names, *batch]):44} {'  '.join(figures)}"


def machine() -> dict[str, Any]:
    """What the figures depend on: processor, its instruction sets that matter, library version."""
    import torch

    model = ""
    flags: set[str] = set()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for entry in cpuinfo.read_text("utf-8", "replace").splitlines():
            name, _, value = entry.partition(":")
            if name.strip() == "model name" and not model:
                model = value.strip()
            if name.strip() == "flags" and not flags:
                flags = set(value.split())
    wanted = ("avx2", "avx512f", "avx512_bf16", "avx512_vnni", "avx_vnni", "amx_bf16", "amx_int8")
    return {
        "processor": model or platform.processor(),
        "instructions": [flag for flag in wanted if flag in flags],
        "python": platform.python_version(),
        "torch": torch.__version__,
    }


if __name__ == "__main__":
    raise SystemExit(main())
