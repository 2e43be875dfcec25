"""Somebody has to do the work while a request waits for it: a thread that finishes what is queued."""

import threading
from collections.abc import Iterator

import pytest
from django.db import connection

from cloning import tracing
from cloning.models import SpeechRequest, TraceJob
from tests.cloning.streamed import script, streamer  # noqa: F401 - fixtures
from tests.vouch.api.test_cloning import finished


@pytest.fixture
def worker(transactional_db: None) -> Iterator[None]:
    """Marks, labels, signs and stores a recording for each request as it comes (only the synthesis is noise), and
    searches what is to be traced."""
    import cloning.engine.synthesis  # noqa: F401 - torch takes seconds: before anybody waits, not while

    stop = threading.Event()

    def work() -> None:
        try:
            while not stop.wait(0.02):
                for request in SpeechRequest.objects.filter(job__state="queued"):
                    finished(request)
                for job in TraceJob.objects.filter(state="queued"):
                    tracing.search(job.id)
        finally:
            connection.close()

    thread = threading.Thread(target=work)
    thread.start()
    yield
    stop.set()
    thread.join()


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody works, and nobody waits a minute for it."""
    monkeypatch.setattr("vouch.api.compat.waiting.LONGEST_WAIT", 0.0)
