"""Which tests take long? ``pytest -m "not slow" -n 2 --durations=0 | python -m tests.tools.long_tests``

Writes `tests/long.txt`: what `make test` leaves to `make test-long`, so that the first stays short enough to be run
before every commit. CI runs both. A line is a test, or a folder whose tests all are long.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Final

LIST: Final = Path(__file__).resolve().parents[1] / "long.txt"
#: A call that takes longer, on two cores, is long.
SECONDS: Final = 3.0
#: Their fixtures start the whole system.
FOLDERS: Final = ("tests/e2e/",)
_CALL: Final = re.compile(r"([\d.]+)s call +(tests/.+)")


def long_tests(durations: Iterable[str]) -> list[str]:
    """From the lines of pytest's report of durations."""
    calls = (_CALL.fullmatch(line.strip()) for line in durations)
    named = {call[2] for call in calls if call and float(call[1]) > SECONDS}
    return [*FOLDERS, *sorted(one for one in named if not one.startswith(FOLDERS))]


def is_long(test: str, listed: Collection[str]) -> bool:
    """Whether the test with this id is listed, by itself or with its folder."""
    return test in listed or test.startswith(FOLDERS)


def main() -> None:
    found = long_tests(sys.stdin)
    if len(found) == len(FOLDERS):
        sys.exit("no durations were given: run pytest with --durations=0")
    LIST.write_text("\n".join(found) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
