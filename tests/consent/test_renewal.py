"""Renewing a consent: the same voice, heard live again, on terms that may be new."""

import struct
from datetime import timedelta
from typing import Any

import pytest
from django.db import DatabaseError, transaction

from consent import errors, licences, receipts, renewal, selectors, services, templates
from consent.models import Challenge, Consent
from foundation import keys
from foundation.audit.models import Leaf
from foundation.clock import move_forward, now
from foundation.errors import NotFound
from foundation.identity.actors import Actor
from foundation.vault import services as vault
from foundation.vault.errors import KeyDestroyed, PastDeadline
from tests.consent.factories import ACT, TEMPLATE, answered, consent, decide, passed_challenge, terms

pytestmark = pytest.mark.django_db
SYSTEM = Actor.system("test")
OTHER_VOICE = struct.pack("<256f", 0.0, 1.0, *[0.0] * 254)
NEAR_VOICE = struct.pack("<256f", 0.9, (1 - 0.81) ** 0.5, *[0.0] * 254)


def challenge_in(person: Any, template: bytes) -> Challenge:
    challenge, found = answered(person)
    decide(found, template=template)
    challenge.refresh_from_db()
    return challenge


def renewing(former: Consent, challenge: Challenge, **more: Any) -> dict[str, Any]:
    given = terms(challenge, actor=Actor.of(former.person), consent_id=former.id, term_days=60)
    del given["recording_ids"]
    return {**given, **more}


def test_a_renewal_is_a_new_record_that_names_the_former(person: Any) -> None:
    former = consent(person(), term_days=10)
    recordings = set(former.recordings.values_list("id", flat=True))
    renewed: tuple[Any, Any] = renewal.renew_consent(**renewing(former, challenge_in(former.person, NEAR_VOICE)))
    new, found = renewed
    former.refresh_from_db()
    assert (new.version, new.former, new.state) == (2, former, "active")
    assert (former.state, former.ended_leaf) == ("renewed", new.leaf_index)
    assert new.statement["former"]["id"] == str(former.id)
    assert new.statement["former"]["leaf"] == former.leaf_index
    assert set(new.recordings.values_list("id", flat=True)) == recordings
    [match] = [item for item in new.evidence if item["of"] == "renewal"]
    assert (match["value"], match["threshold"]) == (0.9, renewal.SAME_VOICE)
    assert [one.what for one in found] == ["consent.renewed", "template.destroyed", "search_template.destroyed"]
    assert selectors.active_consent(consent_id=former.id) is None
    assert selectors.active_consent(consent_id=new.id) == new
    # The old template is gone, the new one is the new challenge's.
    with pytest.raises(KeyDestroyed):
        vault.read(sealed_object=former.template, actor=SYSTEM)
    assert vault.read(sealed_object=new.template, actor=SYSTEM) == NEAR_VOICE


def test_another_persons_voice_renews_nothing(person: Any) -> None:
    former = consent(person())
    challenge = challenge_in(former.person, OTHER_VOICE)
    leaves = Leaf.objects.count()
    with pytest.raises(errors.VoiceDiffers):
        renewal.renew_consent(**renewing(former, challenge))
    assert Leaf.objects.count() == leaves
    assert selectors.active_consent(consent_id=former.id) == former
    assert vault.read(sealed_object=former.template, actor=SYSTEM) == TEMPLATE


def test_only_a_fresh_challenge_of_ones_own_renews_a_consent_of_ones_own_in_force(person: Any) -> None:
    former = consent(person(), term_days=10)
    with pytest.raises(errors.ChallengeUsed):
        renewal.renew_consent(**renewing(former, former.challenge))
    with pytest.raises(NotFound):
        renewal.renew_consent(**renewing(former, passed_challenge(person())))
    stranger = passed_challenge(person())
    with pytest.raises(NotFound):
        renewal.renew_consent(**renewing(former, stranger, actor=Actor.of(stranger.person)))
    refused, found = answered(former.person)
    decide(found, "refuse")
    with pytest.raises(errors.ChallengeNotPassed):
        renewal.renew_consent(**renewing(former, refused))
    with pytest.raises(errors.ReleaseMissing):
        renewal.renew_consent(**renewing(former, passed_challenge(former.person), biometric_release=False))
    assert not Consent.objects.exclude(id=former.id).exists()
    move_forward(timedelta(days=10))
    late = passed_challenge(former.person)
    with pytest.raises(errors.ConsentEnded):
        renewal.renew_consent(**renewing(former, late))


def test_what_was_renewed_or_withdrawn_is_not_renewed_again(person: Any) -> None:
    former = consent(person())
    new, _ = renewal.renew_consent(**renewing(former, passed_challenge(former.person)))
    again = passed_challenge(former.person)
    with pytest.raises(errors.ConsentEnded):
        renewal.renew_consent(**renewing(former, again))
    services.withdraw_consent(actor=Actor.of(new.person), consent_id=new.id)
    with pytest.raises(errors.ConsentEnded):
        renewal.renew_consent(**renewing(new, again))
    with pytest.raises(errors.ConsentEnded):
        services.withdraw_consent(actor=Actor.of(new.person), consent_id=former.id)


def test_licences_go_on_when_the_new_terms_cover_them_and_end_when_not(person: Any) -> None:
    former, customer = consent(person(), term_days=90), person()
    grant = {"actor": SYSTEM, "consent": former, "licensee": customer, "characters_cap": 100}
    kept = licences.grant_licence(**grant, scope={"languages": ["en"]})
    licences.reserve(licence_id=kept.id, characters=40)
    new, found = renewal.renew_consent(**renewing(former, passed_challenge(former.person), term_days=5))
    kept.refresh_from_db()
    assert ("licence.carried", str(kept.id)) in [(one.what, one.ref) for one in found]
    assert (kept.consent_id, kept.valid_until, kept.characters_reserved) == (new.id, new.valid_until, 40)
    narrower = renewing(new, passed_challenge(former.person), uses={"own_use": True})
    _, found = renewal.renew_consent(**narrower)
    kept.refresh_from_db()
    assert ("licence.ended", str(kept.id)) in [(one.what, one.ref) for one in found]
    assert (kept.state, kept.ended_reason) == ("ended", "consent_renewed")


def test_a_template_that_is_kept_no_longer_cannot_be_compared(person: Any, monkeypatch: Any) -> None:
    # The rehearsal clock reaches a month ahead, so the limit is brought nearer; its real length has a test of its own.
    monkeypatch.setattr(templates, "LIMIT", timedelta(days=5))
    former = consent(person(), term_days=3650)
    move_forward(timedelta(days=5))
    challenge = passed_challenge(former.person)
    with pytest.raises(PastDeadline):
        renewal.renew_consent(**renewing(former, challenge))
    assert templates.destroy_overdue() == 1
    assert templates.destroy_overdue() == 0
    former.refresh_from_db()
    assert former.state == "active"
    assert former.template_key.state == "destroyed"
    with pytest.raises((KeyDestroyed, PastDeadline)):
        renewal.renew_consent(**renewing(former, challenge))


def test_the_reminder_begins_a_month_before_the_end_or_in_the_last_fifth_of_a_short_term(person: Any) -> None:
    long, short = consent(person(), term_days=365), consent(person(), term_days=10)
    assert long.valid_until - renewal.due_from(long) == timedelta(days=30)
    assert short.valid_until - renewal.due_from(short) == timedelta(days=2)


@pytest.mark.django_db(transaction=True)
def test_the_receipt_of_a_renewal_holds(person: Any) -> None:
    former = consent(person())
    new, _ = renewal.renew_consent(**renewing(former, passed_challenge(former.person)))
    assert receipts.verify(receipts.issue(new), keys.public_key("log"))["version"] == 2
    # A version is not of the person's choosing, and no row can pretend to be a renewal of nothing.
    with pytest.raises(DatabaseError), transaction.atomic():
        Consent.objects.filter(id=new.id).update(version=1)


def test_the_act_is_bound_to_its_session_without_showing_it(person: Any) -> None:
    given = consent(person())
    act = given.statement["act"]
    assert act == ACT.statement(given.statement["salt"], given.given_at)
    assert ACT.reference not in str(given.statement)
    assert given.given_at <= now()
