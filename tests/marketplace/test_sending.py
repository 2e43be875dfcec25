"""Tasks are sent by name, also from a process that has not loaded them, and every name is a task."""

import re
from pathlib import Path

import pytest
from celery import current_app

import marketplace
from marketplace import sending, tasks

ROOM = Path(marketplace.__file__).parent


def test_every_name_that_is_sent_is_a_task():
    text = "".join(path.read_text() for path in ROOM.rglob("*.py"))
    sent = set(re.findall(r'after_commit\(\s*"marketplace\.([a-z_]+)"', text))
    assert sent
    assert sent <= set(vars(tasks))


@pytest.mark.django_db
def test_what_is_sent_needs_no_task_loaded_here(monkeypatch, django_capture_on_commit_callbacks):
    sent = []
    monkeypatch.setattr(current_app, "send_task", lambda name, **how: sent.append((name, how["args"], how["queue"])))
    with django_capture_on_commit_callbacks(execute=True):
        sending.after_commit("marketplace.nothing_known_here", "7")
    assert sent == [("marketplace.nothing_known_here", ["7"], "sweep")]
