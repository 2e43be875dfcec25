"""The main job, end to end, over real HTTP, PostgreSQL, Redis and Celery workers: the story of `make demo`.

The clock and the consent of this system move during the story, so the tests of failures (their own story) come first in
the file's order and the story last.
"""

import http.client
import json
import os
import urllib.parse

import httpx
import pytest

from demo import canary
from demo.report import Report

pytestmark = pytest.mark.enable_socket


@pytest.fixture
def story(live, staff, tmp_path):
    story = canary.PlantedStory(live, Report(tmp_path / "report.json"), staff, tmp_path / "backup")
    yield story
    story.close()


@pytest.fixture
def trained(story):
    """A speaker with a given consent, ready to train."""
    story.arrive()
    story.live_challenge()
    story.training_speech()
    story.consent()
    assert story.report.ok, [step for step in story.report.steps if not step.ok]
    return story


def test_the_web_process_never_loads_torch(live):
    pids = [live.processes["web"].pid, *_children(live.processes["web"].pid)]
    httpx.get(f"{live.address}/api/v1/log/public-key")
    for pid in pids:
        with open(f"/proc/{pid}/maps") as maps:
            assert "torch" not in maps.read()


def test_two_gigabytes_are_refused_before_they_are_sent(live, story):
    """The announcement alone is refused: the answer comes although not one byte of the body was sent."""
    story.arrive()
    before = _rss(live.processes["web"].pid)
    address = urllib.parse.urlsplit(live.address)
    connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=20)
    connection.putrequest("POST", "/api/v1/trace")
    connection.putheader("Authorization", story.speaker._http.headers["Authorization"])
    connection.putheader("Content-Length", str(2 * 1024**3))
    connection.endheaders()
    answer = connection.getresponse()
    assert answer.status == 413
    assert json.loads(answer.read())["code"] == "too_large"
    connection.close()
    assert _rss(live.processes["web"].pid) - before < 50_000_000


def test_a_worker_killed_in_training_resumes_and_servers_may_restart(live, trained):
    """SIGKILL in the middle of training, then both servers restarted: the job ends well and one voice exists."""
    speaker = trained.speaker
    made = speaker.post("voices", {"consent": trained.consent_id, "name": "Killed", "language": "en"})
    job = str(made["job"])
    speaker.wait(f"jobs/{job}", lambda body: body["state"] == "running" and body["progress"] > 0, seconds=120)
    live.kill_worker("gpu")
    live.restart_broker()
    live.restart_database()
    live.start_worker("gpu")
    done = speaker.wait(f"jobs/{job}", lambda body: body["state"] in {"succeeded", "failed"}, seconds=240)
    assert done["state"] == "succeeded", done
    assert done["attempts"] == 2
    assert speaker.get(f"voices/{made['id']}")["state"] == "ready"
    live.check()


def test_the_story_and_nothing_of_its_recordings_is_left_anywhere(live, story):
    """Played whole; then disk, database files, write-ahead log, Redis, logs and a backup are searched for the sound."""
    story.play()
    assert story.report.ok, [step for step in story.report.steps if not step.ok]
    drill = canary.look(live, story.backup, story.needles())
    assert drill.blind == []
    assert drill.found.unread == []
    assert drill.found.hits == []


def _children(pid: int) -> list[int]:
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        return [int(child) for child in file.read().split()]


def _rss(pid: int) -> int:
    pages = 0
    for one in [pid, *_children(pid)]:
        with open(f"/proc/{one}/statm") as file:
            pages += int(file.read().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
