"""Voices of a renewed consent go on under the new one, and speak under nothing else."""

from typing import Any

import pytest
from django.db import transaction

from cloning import gate
from cloning.models import Voice
from cloning.renewals import carry_voices
from cloning.services import destroy_voices_for_consent, request_voice
from consent import renewal
from foundation.identity.actors import Actor
from tests.consent.factories import consent, passed_challenge, terms

pytestmark = pytest.mark.django_db
SYSTEM = Actor.system("test")


def renewed(former: Any) -> Any:
    given = terms(passed_challenge(former.person), consent_id=former.id)
    del given["recording_ids"]
    return renewal.renew_consent(**given)[0]


def asked(former: Any, name: str) -> Voice:
    return request_voice(actor=Actor.of(former.person), consent_id=former.id, name=name, language="en")


def judged(voice: Voice) -> Any:
    voice.refresh_from_db()
    with transaction.atomic():
        return gate.judge_training(
            consent_id=voice.consent_id, owner_id=voice.owner_id, language="en", voice=voice
        ).refusal


def test_living_voices_are_carried_and_destroyed_ones_stay_where_they_were(person: Any) -> None:
    former = consent(person())
    gone = asked(former, "Gone")
    destroy_voices_for_consent(consent_id=former.id, actor=SYSTEM)
    kept = asked(former, "Kept")
    new = renewed(former)
    assert judged(kept).code == "no_consent"
    assert carry_voices(consent_id=new.id) == [kept.id]
    assert carry_voices(consent_id=new.id) == []
    assert judged(kept) is None
    assert kept.consent_id == new.id
    gone.refresh_from_db()
    assert gone.consent_id == former.id


def test_only_a_renewal_carries(person: Any) -> None:
    first = consent(person())
    voice = asked(first, "Mine")
    with pytest.raises(ValueError, match="not a renewal"):
        carry_voices(consent_id=first.id)
    assert judged(voice) is None
