"""A worker that speaks reads ahead; what is missing then stops nobody."""

import logging
from types import SimpleNamespace
from typing import Any

import pytest

from cloning import preload, tasks
from safety.policy import live_pack


def read() -> None:
    """Reads ahead to the end: a text would go on by itself sooner than a busy machine has read it all."""
    preload.begin()
    for _ in range(4):
        preload.wait()


@pytest.mark.django_db(transaction=True)
def test_everything_is_read_by_saying_something_to_nobody(caplog: pytest.LogCaptureFixture) -> None:
    live_pack.cache_clear()
    with caplog.at_level(logging.INFO, logger="cloning.preload"):
        read()
    assert "ready to speak" in caplog.text
    assert live_pack.cache_info().currsize == 1, "the first text finds the policy compiled"


def test_what_cannot_be_read_is_logged_and_texts_go_on(settings: Any, caplog: pytest.LogCaptureFixture) -> None:
    settings.VOUCH_LABEL_PROFILE = "atlantis"
    read()
    assert "could not be read ahead" in caplog.text
    assert "atlantis" in caplog.text


@pytest.mark.parametrize(("queues", "reads"), [({"cpu"}, False), ({"cpu", "gpu"}, True)])
def test_only_a_worker_that_speaks_reads(queues: set[str], reads: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[bool] = []
    monkeypatch.setattr(preload, "begin", lambda: begun.append(True))
    tasks._speaks.clear()
    worker = SimpleNamespace(app=SimpleNamespace(amqp=SimpleNamespace(queues=SimpleNamespace(consume_from=queues))))
    tasks._know_the_queues("gpu@here", worker)
    tasks._read_ahead()
    tasks._speaks.clear()
    assert begun == [True] * reads
