"""Progress for a person: one line that is drawn anew on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from typing import TextIO

from cloning.engine.training.loop import Progress

#: Characters of the bar.
WIDTH = 24
#: Seconds between two lines when nobody draws over them.
PLAIN_EVERY = 5.0
#: What the stages do, for a person.
STAGES = {"prepare": "preparing", "semantic": "reading", "acoustic": "sound"}


class Display:
    """Call it with every Progress. On a terminal the bar fills within a stage and stays when the stage is done."""

    def __init__(self, out: TextIO) -> None:
        self.out = out
        self.terminal = out.isatty()
        self.open = False
        self.spoken = 0.0

    def __call__(self, progress: Progress) -> None:
        done = progress.step >= progress.steps
        if self.terminal:
            self.out.write("\r" + line(progress) + ("\n" if done else ""))
            self.open = not done
        elif done or progress.step == 0 or time.monotonic() - self.spoken >= PLAIN_EVERY:
            self.spoken = time.monotonic()
            self.out.write(line(progress).rstrip() + "\n")
        self.out.flush()

    def note(self, sentence: str) -> None:
        """A line of its own."""
        self.end()
        self.out.write(f"note: {sentence}\n")
        self.out.flush()

    def end(self) -> None:
        """Leave a line that was being drawn."""
        if self.open:
            self.out.write("\n")
            self.open = False


def line(progress: Progress) -> str:
    """Stage, bar, step, loss and the time left, in at most 79 characters and always as many."""
    share = min(1.0, progress.step / max(1, progress.steps))
    full = round(WIDTH * share)
    text = f"{STAGES.get(progress.stage, progress.stage):<9} [{'#' * full}{'.' * (WIDTH - full)}]"
    text += f" {progress.step}/{progress.steps}"
    if progress.stage != "prepare":
        text += f"  loss {progress.loss:.3f}  {clock(progress.seconds_left)} left"
    return f"{text:<79.79}"


def clock(seconds: float) -> str:
    """1:05, or 2:00:05 from an hour on."""
    whole = max(0, round(seconds))
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
