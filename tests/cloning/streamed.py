"""A worker that streams noise: everything but the synthesis is real."""

import threading
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from django.db import connection

from cloning import streaming, tasks
from cloning.models import SpeechRequest
from cloning.streaming import Spoken

RATE, SENTENCES = 16_000, 4


class Script:
    """What is spoken instead of the text, and what happens between its sentences. ``made``: sentences so far."""

    def __init__(self) -> None:
        self.sentences, self.seconds, self.made = SENTENCES, 2.0, 0
        self.between: Callable[[int], object] = lambda _: None

    def pieces(self, data: bytes, request: SpeechRequest) -> Iterator[Spoken]:
        assert data == b"weights"
        rng = np.random.default_rng(2)
        yield Spoken(np.zeros(0, np.float32), RATE)
        for sentence in range(self.sentences):
            self.between(sentence)
            for half in (False, True):
                pcm = (0.1 * rng.standard_normal(int(RATE * self.seconds / 2))).astype(np.float32)
                yield Spoken(pcm, RATE, sentence, self.sentences, last=half)
            self.made += 1


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Script:
    said = Script()
    monkeypatch.setattr(streaming, "pieces", said.pieces)
    return said


@pytest.fixture
def working() -> Iterator[Callable[[SpeechRequest], threading.Thread]]:
    """A worker that speaks a request beside the test."""
    import cloning.engine.synthesis  # noqa: F401 - torch takes seconds: before anybody waits, not while

    threads = []

    def start(request: SpeechRequest) -> threading.Thread:
        def work() -> None:
            try:
                tasks.speak.run(str(request.job_id))
            finally:
                connection.close()

        threads.append(threading.Thread(target=work))
        threads[-1].start()
        return threads[-1]

    yield start
    for thread in threads:
        thread.join()


@pytest.fixture
def streamer(script: Script, transactional_db: None) -> Iterator[Script]:
    """A worker that streams whatever is queued, in this process."""
    import cloning.engine.synthesis  # noqa: F401

    stop = threading.Event()

    def work() -> None:
        try:
            while not stop.wait(0.02):
                for job_id in SpeechRequest.objects.filter(job__state="queued").values_list("job_id", flat=True):
                    tasks.speak.run(str(job_id))
        finally:
            connection.close()

    thread = threading.Thread(target=work)
    thread.start()
    yield script
    stop.set()
    thread.join()
