"""The sound of an output ends with its time; what can be traced stays."""

from datetime import timedelta
from typing import Any

import pytest

from cloning import keeping, tasks
from cloning.models import Output, SpeechRequest
from foundation.clock import move_forward, now
from foundation.vault import services as vault
from foundation.vault.errors import KeyDestroyed
from tests.cloning import factories as make

pytestmark = pytest.mark.django_db(transaction=True)


def output(person: Any) -> Output:
    """An output as a worker writes it, only without an engine."""
    owner = person()
    voice = make.voice(owner, make.consent(owner))
    job = voice.jobs.create(kind="speak", requester=owner, state="succeeded", finished_at=now())
    request = SpeechRequest.objects.create(
        job=job, voice=voice, requester=owner, text="", text_digest="0" * 64, characters=5, language="en", seed=1,
        container="wav",
    )  # fmt: skip
    key = vault.create_key(kind="output", owner_ref="test", actor=make.SYSTEM)
    sealed = vault.store(key=key, kind="output", owner_ref="test", data=b"sound", not_after=None, actor=make.SYSTEM)
    return Output.objects.create(
        request=request, voice=voice, requester=owner, sealed=sealed, media_type="audio/wav", sha256="0" * 64,
        seconds=1.0, label_seconds=1.0, mark_payload=17, provenance={}, leaf_index=0, rehearsal=True,
    )  # fmt: skip


def test_an_output_ends_with_its_time_and_its_mark_stays_known(person: Any, settings: Any) -> None:
    settings.VOUCH_OUTPUT_DAYS = 20
    made = output(person)
    move_forward(timedelta(days=19))
    assert tasks.end_outputs.run() == 0
    assert vault.read(sealed_object=made.sealed, actor=make.SYSTEM) == b"sound"
    move_forward(timedelta(days=1))
    assert keeping.end_outputs() == 1
    assert keeping.end_outputs() == 0
    with pytest.raises(KeyDestroyed):
        vault.read(sealed_object=made.sealed, actor=make.SYSTEM)
    made.refresh_from_db()
    assert (made.mark_payload, made.state) == (17, "live")
