"""What was said goes with the sound of it."""

from typing import Any

import pytest

from consent import tasks
from consent.models import Recording
from retention import custody
from tests.consent import factories
from tests.retention.factories import SYSTEM

pytestmark = pytest.mark.django_db


def test_a_transcript_is_emptied_with_its_recording_and_no_other(person: Any) -> None:
    challenge = factories.passed_challenge(person())
    gone, stays = factories.passed_recording(challenge), factories.passed_recording(challenge)
    custody.destroy(item=gone.custody, reason="test", actor=SYSTEM)
    assert tasks.tidy.run()["transcripts"] == 1
    assert Recording.objects.get(id=gone.id).transcript == ""
    assert Recording.objects.get(id=stays.id).transcript == stays.transcript != ""
    assert tasks.tidy.run()["transcripts"] == 0
