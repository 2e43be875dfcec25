"""The examples of docs/examples.md, run in their order, as they stand; and those of docs/api.md."""

import json
import re
import shlex
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from cloning.batches import advancing as batches
from cloning.batches.models import Batch
from cloning.models import Output, Voice
from consent.models import Licence
from foundation.identity.actors import Actor
from marketplace.payments import signing
from marketplace.services import create_listing
from tests.cloning import factories as make
from tests.marketplace.factories import published, ready_voice
from tests.vouch.client.test_client import client
from vouch.api.streams.http import NewStream
from vouch.client.webhooks import BadSignature

pytestmark = pytest.mark.django_db(transaction=True)
PAGE, API_PAGE = Path("docs/examples.md"), Path("docs/api.md")
JOBS = ["Begin", "Speak", "Trace", "Verify", "Batch", "Licence", "Webhook", "Statement", "Delete"]


@pytest.fixture
def batch_worker(worker: None) -> Iterator[None]:
    """Hands on the lines of batches as their recordings come."""
    stop = threading.Event()

    def work() -> None:
        try:
            while not stop.wait(0.05):
                for batch_id in Batch.objects.filter(state="running").values_list("id", flat=True):
                    batches.advance(batch_id)
        finally:
            connection.close()

    thread = threading.Thread(target=work)
    thread.start()
    yield
    stop.set()
    thread.join()


def test_each_main_job_has_an_example_that_runs(
    person: Any, api: Any, batch_worker: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = re.findall(r"^## (\w+)\n.*?```python\n(.*?)```", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    assert [name for name, _ in parts] == JOBS
    owner = person()
    make.voice(owner, make.consent(owner), name="Sam")
    other = ready_voice(person(), rehearsal=True)
    listing = create_listing(
        actor=Actor.of(other.owner), voice_id=other.id, title="A calm alto", price_minor=0, currency="EUR",
        languages=["en"], licence_days=30,
    )  # fmt: skip
    published(listing, person("moderator"))
    key = api(owner).headers["Authorization"].removeprefix("Bearer ")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("vouch.client.Vouch", lambda address, key: client(key))
    seen: dict[str, Any] = {}
    try:
        for name, block in parts:
            exec(compile(block.replace("vk_…", key), f"docs/examples.md, {name}", "exec"), seen)  # noqa: S102 - ours
    finally:
        if "vouch" in seen:
            seen["vouch"].close()
    told = json.dumps({"kind": "speech.done", "at": "now", "data": {"output": "one"}}).encode()
    signed = {"Vouch-Signature": signing.sign(told, seen["hook"].secret, int(time.time()))}
    assert seen["received"](told, signed) == "one"
    with pytest.raises(BadSignature):
        seen["received"](told + b" ", signed)
    assert {file.name for file in tmp_path.iterdir()} >= {"morning.wav", "evening.mp3", "statement.jsonl"}
    assert Output.objects.filter(requester=owner).count() == 4
    assert Licence.objects.filter(licensee=owner).count() == 1
    assert Voice.objects.get(name="Sam").state == "destroyed"


def test_the_examples_of_the_api_page_run_too(
    person: Any, api: Any, worker: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    owner = person()
    voice = make.voice(owner, make.consent(owner), name="Sam")
    someone = api(owner)
    key = someone.headers["Authorization"].removeprefix("Bearer ")
    page = API_PAGE.read_text()
    asked = [
        _curl(block.replace("$VOUCH", "").replace("$KEY", key).replace("VOICE", str(voice.id)))
        for block in re.findall(r"```sh\n(.*?)\n```", page, re.DOTALL)
        if block.startswith("curl ") and " -d " in block
    ]
    assert [path.rpartition("/")[2] for path, _, _ in asked] == ["speech", "stream"]
    for path, headers, fields in asked[:1]:
        answer = someone.client.post(path, fields, headers["Content-Type"], headers=headers)
        assert answer.status_code == 202, answer.content
    # A stream needs a worker that relays it (tests of the streams); what the page sends is what that door reads.
    streamed = NewStream(data=json.loads(asked[1][2]))
    assert streamed.is_valid(), streamed.errors
    assert asked[1][0] == f"/api/v1/voices/{voice.id}/speech/stream"
    (block,) = (one for one in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if "vouch.client" in one)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("vouch.client.Vouch", lambda address, key: client(key))
    exec(compile(block.replace("vk_…", key), "docs/api.md", "exec"), {})  # noqa: S102 - ours
    assert capsys.readouterr().out == "ours\n"
    assert (tmp_path / "morning.mp3").stat().st_size > 1000


def _curl(command: str) -> tuple[str, dict[str, str], str]:
    """Address, headers and body of a command of the page."""
    words = shlex.split(command.replace("\\\n", " ").partition(" | ")[0])
    headers = dict(words[at + 1].split(": ", 1) for at, word in enumerate(words) if word == "-H")
    return next(word for word in words if word.startswith("/")), headers, words[words.index("-d") + 1]
