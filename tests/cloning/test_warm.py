"""A voice kept ready is found only by what the vault gave out, and never outlives its voice."""

from typing import Any

import pytest

from cloning import warm
from cloning.engine import voicefile
from cloning.engine.config import tiny
from cloning.models import Voice
from cloning.warm import Shelf
from tests.cloning import factories as make
from tests.cloning.engine.test_synthesis import loud_voice

pytestmark = pytest.mark.django_db


def test_a_ready_voice_goes_with_its_voice_its_time_and_its_place(person: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warm, "LOOK_SECONDS", 3600.0)  # the test looks itself
    owner = person()
    voice = make.voice(owner, make.consent(owner))
    data = voicefile.pack(loud_voice(tiny()))
    plain = Shelf()
    assert plain.ready(data, voice.id) is not plain.ready(data, voice.id)
    assert plain.look() == 0

    shelf = Shelf()
    shelf.keep()
    kept = shelf.ready(data, voice.id)
    assert shelf.ready(data, voice.id) is kept
    assert shelf.ready(data, make.consent(person()).id) is not kept  # the same bytes, but not the same voice
    assert shelf.look() == 1
    with pytest.raises(voicefile.VoiceFileError):
        shelf.ready(data[:-1], voice.id)
    assert shelf.look() == 1
    assert shelf.look(moment=1e12) == 0
    assert shelf.ready(data, voice.id) is not kept
    Voice.objects.filter(id=voice.id).update(state="destroyed", destroyed_at="2026-01-01T00:00:00Z")
    assert shelf.look() == 0
