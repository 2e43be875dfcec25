"""How long one verdict takes: ``python -m safety.policy.bench``. The goal is 20 ms at the 95th percentile.

On the labelled sentences, and on texts of ``LENGTHS`` characters put together from them (a request may have 10,000,
the policy itself reads 20,000). The first verdicts, which load the pack and the readings of characters, are not
counted.
"""

import sys
import time
from collections.abc import Sequence
from typing import Final

from safety.policy import evaluate, labelled

LENGTHS: Final = (500, 2_000, 5_000, 10_000, 20_000)
ROUNDS: Final = 60


def measure() -> dict[str, tuple[float, float, float]]:
    """Milliseconds by kind of text: median and 95th percentile of wall time, and processor time at the 95th."""
    sentences = labelled.sentences()
    found = {"sentence": _times([(one.text, one.language) for one in sentences])}
    for language in ("en", "zh"):
        whole = " ".join(one.text for one in sentences if one.language == language)
        for length in LENGTHS:
            starts = range(0, max(len(whole) - length, 1), max((len(whole) - length) // ROUNDS, 1))
            texts = [(whole[at : at + length], language) for at in starts][:ROUNDS]
            found[f"{length} characters, {language}"] = _times(texts)
    return found


def _times(texts: Sequence[tuple[str, str]]) -> tuple[float, float, float]:
    for text, language in texts[:5]:
        evaluate(text, language=language)
    wall, processor = [], []
    for text, language in texts:
        began, used = time.perf_counter(), time.process_time()
        evaluate(text, language=language)
        wall.append((time.perf_counter() - began) * 1e3)
        processor.append((time.process_time() - used) * 1e3)
    wall.sort()
    processor.sort()
    return wall[len(wall) // 2], wall[int(len(wall) * 0.95)], processor[int(len(processor) * 0.95)]


def main() -> None:
    for name, (median, p95, processor) in measure().items():
        sys.stdout.write(f"{name:24} p50 {median:7.2f} ms   p95 {p95:7.2f} ms   processor p95 {processor:7.2f} ms\n")


if __name__ == "__main__":
    main()
