"""What the recovery ends: voices whose consent ran out."""

from datetime import timedelta

import pytest

from cloning import recovery
from consent.services import expire_consents
from foundation import clock
from foundation.vault.models import VaultKey
from tests.cloning import factories as make

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_voice_whose_consent_ran_out_loses_its_key(person):
    owner = person()
    voice = make.voice(owner, make.consent(owner, days=2))
    kept = make.voice(other := person(), make.consent(other, days=20))
    clock.move_forward(timedelta(days=3))
    assert expire_consents() == 1

    assert recovery.recover() == 1
    assert recovery.recover() == 0

    voice.refresh_from_db()
    kept.refresh_from_db()
    assert (voice.state, kept.state) == ("destroyed", "ready")
    assert VaultKey.objects.get(id=voice.key_id).state == "destroyed"
    assert VaultKey.objects.get(id=kept.key_id).state == "active"
