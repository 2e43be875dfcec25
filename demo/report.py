"""Printing the steps as they happen and writing ``report.json``."""

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path


@dataclass
class Step:
    """One step: what should happen, what did, how long it took."""

    name: str
    expected: str
    observed: str = ""
    seconds: float = 0.0
    ok: bool = False


@dataclass
class Report:
    """The steps so far. ``ok`` only if every one of them did what it should."""

    path: Path
    steps: list[Step] = field(default_factory=list)
    recordings: list[Path] = field(default_factory=list)

    @contextmanager
    def step(self, name: str, expected: str) -> Iterator[Step]:
        """Times the block. The block sets ``observed``; the step is good when that equals ``expected``.

        An exception is the observed outcome; it fails the step and ends the story.
        """
        step = Step(name, expected)
        self.steps.append(step)
        started = time.monotonic()
        try:
            yield step
        except BaseException as error:
            step.observed = f"{type(error).__name__}: {error}"[:500]
            raise
        finally:
            step.seconds = round(time.monotonic() - started, 2)
            step.ok = step.observed == step.expected
            self._print(step)
            self._write()

    @property
    def ok(self) -> bool:
        return bool(self.steps) and all(step.ok for step in self.steps)

    def progress(self, text: str) -> None:
        if sys.stdout.isatty():
            sys.stdout.write(f"\r    {text:<74}")
            sys.stdout.flush()

    def remark(self, text: str) -> None:
        """Something a step needed that its outcome does not show."""
        print(f"       {text}", flush=True)

    def summary(self) -> None:
        width = max(len(step.name) for step in self.steps)
        print(f"\n{'step':<{width}}  {'seconds':>7}  outcome")
        for step in self.steps:
            mark = "ok  " if step.ok else "FAIL"
            print(f"{step.name:<{width}}  {step.seconds:>7.1f}  {mark} {step.observed}")
        print(f"\n{sum(step.ok for step in self.steps)} of {len(self.steps)} steps did what they should.")
        for recording in self.recordings:
            print(f"  recording: {recording}")
        print(f"  report:    {self.path}")

    def _print(self, step: Step) -> None:
        if sys.stdout.isatty():
            sys.stdout.write("\r" + " " * 78 + "\r")
        wrong = "" if step.ok else f"\n       expected: {step.expected}"
        print(f"{'ok  ' if step.ok else 'FAIL'} {step.seconds:6.1f}s  {step.name}: {step.observed}{wrong}", flush=True)

    def _write(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_text(json.dumps([asdict(step) for step in self.steps], indent=2, ensure_ascii=False) + "\n")
