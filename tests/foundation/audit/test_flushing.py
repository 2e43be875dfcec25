"""Who waits for the disk shares a flush with others, and never takes one that began too early for an answer."""

import threading
from collections.abc import Callable

import pytest

from foundation.audit.flushing import SharedFlush

WAIT = 20


class Disk:
    """A disk whose flushes end when they are told to."""

    def __init__(self, fails: tuple[int, ...] = ()) -> None:
        self.fails, self.count = fails, 0
        self.begun, self.go = threading.Semaphore(0), threading.Semaphore(0)

    def flush(self) -> None:
        self.count += 1
        number = self.count
        self.begun.release()
        assert self.go.acquire(timeout=WAIT)
        if number in self.fails:
            raise OSError(number)


def started(call: Callable[[], None], results: list[str]) -> threading.Thread:
    def run() -> None:
        try:
            call()
        except OSError as error:
            results.append(f"failed {error}")
        else:
            results.append("flushed")

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def waiting_for(flush: SharedFlush, count: int) -> None:
    """Returns when ``count`` threads wait for another's flush."""
    condition = flush._changed
    for _ in range(WAIT * 1000):
        with condition:
            if len(condition._waiters) == count:  # type: ignore[attr-defined]
                return
        threading.Event().wait(0.001)
    raise AssertionError("nobody waits")


def test_whoever_comes_while_a_flush_runs_waits_for_the_next_and_all_of_them_share_that() -> None:
    disk, results = Disk(), list[str]()
    flush = SharedFlush(disk.flush)
    threads = [started(flush.wait, results)]
    assert disk.begun.acquire(timeout=WAIT)
    threads += [started(flush.wait, results) for _ in range(8)]
    waiting_for(flush, 8)
    disk.go.release()
    assert disk.begun.acquire(timeout=WAIT)  # the first flush is no answer for those who came after it began
    threads[0].join(WAIT)
    assert results == ["flushed"]
    disk.go.release()
    for thread in threads:
        thread.join(WAIT)
    assert results == ["flushed"] * 9
    assert disk.count == 2


def test_a_flush_that_fails_is_the_error_of_its_thread_and_answers_nobody() -> None:
    disk, results = Disk(fails=(2,)), list[str]()
    flush = SharedFlush(disk.flush)
    threads = [started(flush.wait, results)]
    assert disk.begun.acquire(timeout=WAIT)
    threads += [started(flush.wait, results) for _ in range(4)]
    waiting_for(flush, 4)
    for _ in range(3):
        disk.go.release()
    for thread in threads:
        thread.join(WAIT)
    assert sorted(results) == ["failed 2", *["flushed"] * 4]
    assert disk.count == 3


@pytest.mark.parametrize("times", [1, 3])
def test_alone_every_wait_is_a_flush(times: int) -> None:
    disk = Disk()
    flush = SharedFlush(disk.flush)
    for _ in range(times):
        disk.go.release()
        flush.wait()
    assert disk.count == times
