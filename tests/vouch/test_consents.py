"""Withdrawal across the rooms: what is foretold is what ends, offers and recordings included, or nothing at all."""

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from cloning.models import Output
from consent.models import Consent
from foundation.errors import NotFound
from foundation.identity.actors import Actor
from marketplace.models import Listing
from marketplace.services import create_listing
from tests.marketplace.factories import ready_voice, used
from vouch import consents

pytestmark = pytest.mark.django_db


def offered(person: Any, *marks: int) -> Any:
    """A voice on offer that has spoken twice."""
    voice = ready_voice(person(), rehearsal=True)
    create_listing(
        actor=Actor.of(voice.owner), voice_id=voice.id, title="A voice", price_minor=0, currency="EUR",
        languages=["en"], licence_days=5,
    )  # fmt: skip
    for mark in marks or (1, 2):
        used(voice, voice.owner, characters=10, mark=mark)
    return voice


def test_offers_and_recordings_end_with_the_consent_as_foretold(person: Any) -> None:
    voice = offered(person)
    actor = Actor.of(voice.owner)
    before = consents.foresee(actor=actor, consent_id=voice.consent_id)
    after = consents.withdraw(actor=actor, consent_id=voice.consent_id)
    assert [(one.what, one.ref, one.count) for one in before] == [(one.what, one.ref, one.count) for one in after]
    assert ("outputs.revoked", str(voice.id), 2) in [(one.what, one.ref, one.count) for one in after]
    assert all(one.at is not None for one in after)
    assert Listing.objects.get().state == "withdrawn"
    assert set(Output.objects.values_list("state", flat=True)) == {"revoked"}


def test_nobody_else_foresees_or_ends_anything(person: Any) -> None:
    voice = offered(person)
    for actor in (Actor.of(person()), Actor.of(person("moderator")), Actor.system("test")):
        with pytest.raises(NotFound):
            consents.foresee(actor=actor, consent_id=voice.consent_id)
        with pytest.raises(NotFound):
            consents.withdraw(actor=actor, consent_id=voice.consent_id)
    assert Listing.objects.get().state == "live"
    assert set(Output.objects.values_list("state", flat=True)) == {"live"}


def test_many_consents_are_foretold_and_shown_in_the_queries_of_one(
    person: Any, client: Any, django_assert_num_queries: Any
) -> None:
    voice = offered(person)
    client.force_login(voice.owner)
    with CaptureQueriesContext(connection) as first:
        assert client.get("/consents").status_code == 200
    others = [offered(lambda: voice.owner, n) for n in (3, 4, 5)]
    asked = [one.consent_id for one in (voice, *others)]
    each = consents.foresee_each(list(Consent.objects.filter(id__in=asked)))
    for consent_id in asked:
        assert each[consent_id] == consents.foresee(actor=Actor.of(voice.owner), consent_id=consent_id)
        assert {found.what for found in each[consent_id]} >= {"outputs.revoked", "listing.withdrawn"}
    with django_assert_num_queries(len(first.captured_queries)):
        assert client.get("/consents").content.decode().count("data-withdraw=") == len(asked)
