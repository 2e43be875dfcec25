"""The examples of docs/examples.md, run in their order, as they stand."""

import json
import re
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
from vouch.client.webhooks import BadSignature

pytestmark = pytest.mark.django_db(transaction=True)
PAGE = Path("docs/examples.md")
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
