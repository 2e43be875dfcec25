"""Giving consent, its receipt, and its end."""

import copy
import json
from datetime import timedelta
from typing import Any

import pytest
from django.db import DatabaseError, transaction

from consent import agreements, errors, examination, licences, receipts, recordings, selectors, services, templates
from consent.models import Consent, Examination, Licence, Recording
from foundation import keys
from foundation.audit.models import Leaf
from foundation.clock import move_forward, now
from foundation.errors import NotFound, TooLarge
from foundation.identity.actors import Actor
from foundation.vault import services as vault
from foundation.vault.errors import KeyDestroyed, PastDeadline
from retention import custody
from retention.models import CustodyItem
from safety.services import restrict
from tests.consent.factories import (
    EVIDENCE,
    TEMPLATE,
    answered,
    consent,
    decide,
    passed_challenge,
    passed_recording,
    terms,
)

pytestmark = pytest.mark.django_db
SYSTEM = Actor.system("test")


def test_a_consent_says_what_was_agreed_and_on_what_evidence(person: Any) -> None:
    owner = person()
    given = consent(owner, uses={"own_use": True})
    assert given.uses["own_use"] is True
    assert given.uses["licence_to_others"] is False
    assert set(given.uses) == set(services.USES)
    assert given.text_sha256 == agreements.offered("en-1").sha256
    assert given.biometric_release == "biometric-en-1"
    assert [item["of"] for item in given.evidence] == ["challenge", "recording"]
    assert given.evidence[0]["evidence_sha256"] == examination.evidence_digest(EVIDENCE)
    assert given.rehearsal is True
    assert given.statement["rehearsal"] is True
    leaf = Leaf.objects.get(index=given.leaf_index)
    assert owner.display_name.encode() not in bytes(leaf.body)
    assert json.loads(bytes(leaf.body))["rehearsal"] is True
    assert selectors.active_consent(consent_id=given.id) == given


def test_the_template_is_kept_sealed_for_the_term_and_three_years_at_most(person: Any) -> None:
    given = consent(person(), term_days=3650)
    assert vault.read(sealed_object=given.template, actor=SYSTEM) == TEMPLATE
    assert given.template.not_after - given.given_at == templates.LIMIT


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"uses": {}}, errors.ConsentInvalid),
        ({"uses": {"advertising": True}}, errors.ConsentInvalid),
        ({"uses": {"own_use": True, "world_domination": True}}, errors.ConsentInvalid),
        ({"uses": {"own_use": "yes"}}, errors.ConsentInvalid),
        ({"languages": []}, errors.ConsentInvalid),
        ({"languages": ["en", "xx"]}, errors.ConsentInvalid),
        ({"term_days": 0}, errors.ConsentInvalid),
        ({"term_days": 3651}, errors.ConsentInvalid),
        ({"territory": "everywhere"}, errors.ConsentInvalid),
        ({"text_version": "en-99"}, errors.TextUnknown),
        ({"text_version": "biometric-en-1"}, errors.TextUnknown),
        ({"biometric_release": False}, errors.ReleaseMissing),
        ({"recording_ids": []}, errors.ConsentInvalid),
    ],
)
def test_terms_that_cannot_be_agreed_to_are_refused(person: Any, change: dict[str, Any], error: type) -> None:
    challenge = passed_challenge(person())
    with pytest.raises(error):
        services.give_consent(**terms(challenge, passed_recording(challenge), **change))
    assert not Consent.objects.exists()


@pytest.mark.parametrize("verdict", ["refuse", "inconclusive"])
def test_no_consent_on_a_challenge_that_did_not_pass(person: Any, verdict: str) -> None:
    challenge, found = answered(person())
    with pytest.raises(errors.ChallengeNotPassed):
        services.give_consent(**terms(challenge))
    decide(found, verdict)
    with pytest.raises(errors.ChallengeNotPassed):
        services.give_consent(**terms(challenge))
    with pytest.raises(errors.ChallengeNotPassed):
        recordings.create_recording(
            actor=Actor.of(challenge.person), challenge_id=challenge.id, language="en", transcript="Words."
        )


@pytest.mark.parametrize("verdict", ["refuse", "inconclusive"])
def test_no_consent_on_a_recording_that_did_not_pass(person: Any, verdict: str) -> None:
    challenge = passed_challenge(person())
    actor = Actor.of(challenge.person)
    made = recordings.create_recording(actor=actor, challenge_id=challenge.id, language="en", transcript="Words.")
    with pytest.raises(errors.RecordingNotPassed):
        services.give_consent(**terms(challenge, made))
    decide(recordings.receive_content(actor=actor, recording_id=made.id, stream=[b"sound"]), verdict)
    with pytest.raises(errors.RecordingNotPassed):
        services.give_consent(**terms(challenge, made))


def test_another_persons_challenge_or_recording_is_no_evidence(person: Any) -> None:
    mine, theirs = passed_challenge(person()), passed_challenge(person())
    with pytest.raises(NotFound):
        services.give_consent(**terms(mine, passed_recording(theirs)))
    with pytest.raises(NotFound):
        services.give_consent(**terms(theirs, passed_recording(theirs), actor=Actor.of(mine.person)))
    with pytest.raises(NotFound):
        recordings.create_recording(
            actor=Actor.of(mine.person), challenge_id=theirs.id, language="en", transcript="Words."
        )


def test_a_recording_made_for_an_earlier_challenge_is_no_evidence_for_a_new_one(person: Any) -> None:
    owner = person()
    old = passed_recording(passed_challenge(owner))
    with pytest.raises(errors.RecordingNotPassed):
        services.give_consent(**terms(passed_challenge(owner), old))


def test_a_challenge_carries_one_consent_and_only_for_a_day(person: Any) -> None:
    challenge = passed_challenge(person())
    recording = passed_recording(challenge)
    services.give_consent(**terms(challenge, recording))
    with pytest.raises(errors.ChallengeUsed):
        services.give_consent(**terms(challenge, recording))
    late = passed_challenge(person())
    recording = passed_recording(late)
    move_forward(timedelta(hours=24))
    with pytest.raises(errors.ChallengeNotPassed):
        services.give_consent(**terms(late, recording))


def test_a_restricted_person_cannot_consent(person: Any) -> None:
    challenge = passed_challenge(person())
    recording = passed_recording(challenge)
    restrict(
        actor=Actor.of(person("moderator")),
        subject_kind="person",
        subject_ref=str(challenge.person_id),
        effect="block",
        reason="test",
        clause="1",
    )
    with pytest.raises(errors.PersonRestricted):
        services.give_consent(**terms(challenge, recording))


def test_evidence_of_a_rehearsal_is_worth_nothing_outside_one(person: Any, settings: Any) -> None:
    challenge = passed_challenge(person())
    recording = passed_recording(challenge)
    settings.REHEARSAL = False
    with pytest.raises(errors.RehearsalOnly):
        services.give_consent(**terms(challenge, recording))


def test_withdrawal_ends_everything_under_the_consent_at_once(person: Any) -> None:
    owner, customer = person(), person()
    given = consent(owner)
    licence = licences.grant_licence(
        actor=Actor.of(owner), consent=given, licensee=customer, scope={}, characters_cap=100
    )
    recording = given.recordings.get()
    consequences = services.withdraw_consent(actor=Actor.of(owner), consent_id=given.id)
    whats = [one.what for one in consequences]
    assert whats[:4] == ["consent.withdrawn", "template.destroyed", "search_template.destroyed", "licence.ended"]
    assert whats.count("recording.destroyed") == 3  # the answer, the template made from it, the training speech
    assert all(one.at is not None and one.at <= now() for one in consequences)
    licence.refresh_from_db()
    assert (licence.state, licence.ended_reason) == ("ended", "consent_withdrawn")
    assert selectors.active_consent(consent_id=given.id) is None
    assert selectors.licence_for(person_id=customer.id, consent_id=given.id) is None
    with pytest.raises(KeyDestroyed):
        vault.read(sealed_object=given.template, actor=SYSTEM)
    with pytest.raises(PastDeadline):
        custody.read(item=recording.custody, actor=SYSTEM)
    recording.refresh_from_db()
    assert recording.transcript == ""
    with pytest.raises(errors.LicenceEnded):
        licences.reserve(licence_id=licence.id, characters=1)
    with pytest.raises(errors.ConsentNotActive):
        licences.grant_licence(actor=SYSTEM, consent=given, licensee=customer, scope={}, characters_cap=1)
    with pytest.raises(errors.ConsentEnded):
        services.withdraw_consent(actor=Actor.of(owner), consent_id=given.id)


def test_only_the_person_withdraws(person: Any) -> None:
    given = consent(person())
    for actor in (Actor.of(person()), Actor.of(person("moderator")), SYSTEM):
        with pytest.raises(NotFound):
            services.withdraw_consent(actor=actor, consent_id=given.id)
    assert selectors.active_consent(consent_id=given.id) is not None


def test_a_consent_past_its_term_is_not_in_force_and_the_sweep_ends_it(person: Any) -> None:
    given = consent(person(), term_days=1)
    move_forward(timedelta(days=1))
    assert selectors.active_consent(consent_id=given.id) is None
    assert services.expire_consents() == 1
    assert services.expire_consents() == 0
    given.refresh_from_db()
    assert given.state == "expired"
    assert given.template_key.state == "destroyed"
    with pytest.raises(PastDeadline):
        vault.read(sealed_object=given.template, actor=SYSTEM)


@pytest.mark.parametrize(
    "change",
    [
        {"uses": {"adult": True}},
        {"state": "expired", "territory": "DE"},
        {"statement": {}},
        {"person": None},
        {"signature": "00"},
        {"template": None},
    ],
    ids=["uses", "state-and-territory", "statement", "person", "signature", "template"],
)
def test_the_database_itself_keeps_a_consent_as_it_was_given(person: Any, change: dict[str, Any]) -> None:
    given = consent(person())
    if "person" in change:
        change = {"person": person()}
    with pytest.raises(DatabaseError), transaction.atomic():
        Consent.objects.filter(id=given.id).update(**change)
    with pytest.raises(DatabaseError), transaction.atomic():
        Consent.objects.filter(id=given.id).delete()


def test_the_database_itself_keeps_the_recordings_a_consent_names(person: Any) -> None:
    given = consent(person())
    other = passed_recording(passed_challenge(given.person))
    for change in (
        lambda: given.recordings.add(other),
        lambda: given.recordings.clear(),
        lambda: given.recordings.through.objects.update(recording=other),
    ):
        with pytest.raises(DatabaseError), transaction.atomic():
            change()
    assert [str(one.id) for one in given.recordings.all()] == given.statement["recordings"]


def test_the_template_of_who_never_consents_dies_with_the_recording(person: Any) -> None:
    challenge: Any = passed_challenge(person())
    assert custody.read(item=challenge.template, actor=SYSTEM) == TEMPLATE
    refused, found = answered(person())
    decide(found, "refuse")
    refused.refresh_from_db()
    assert refused.template is None
    move_forward(timedelta(hours=72))
    with pytest.raises(PastDeadline):
        custody.read(item=challenge.template, actor=SYSTEM)
    custody.sweep()
    challenge.template.refresh_from_db()
    assert (challenge.template.state, challenge.template.key.state) == ("destroyed", "destroyed")


@pytest.mark.django_db(transaction=True)
def test_the_receipt_holds_offline_and_not_when_anything_in_it_was_changed(person: Any) -> None:
    mine, other = consent(person()), consent(person())
    receipt = json.loads(json.dumps(receipts.issue(mine)))
    public = keys.public_key("log")
    assert receipts.verify(receipt, public)["uses"]["own_use"] is True
    for field in receipt["statement"]:
        forged = copy.deepcopy(receipt)
        forged["statement"][field] = "something else"
        with pytest.raises(receipts.ReceiptInvalid):
            receipts.verify(forged, public)
    swapped = {**receipt, "receipt": receipts.issue(other)["receipt"]}
    for broken in ({}, swapped, {**receipt, "kind": "x"}, {**receipt, "statement": None}):
        with pytest.raises(receipts.ReceiptInvalid):
            receipts.verify(broken, public)
    with pytest.raises(receipts.ReceiptInvalid):
        receipts.verify(receipt, keys.public_key("gate"))


def test_recordings_take_one_content_of_bounded_size(person: Any) -> None:
    challenge = passed_challenge(person())
    actor = Actor.of(challenge.person)
    made = recordings.create_recording(actor=actor, challenge_id=challenge.id, language="en", transcript="Words.")

    def endless() -> Any:
        while True:
            yield bytes(1_000_000)

    with pytest.raises(TooLarge):
        recordings.receive_content(actor=actor, recording_id=made.id, stream=endless())
    with pytest.raises(NotFound):
        recordings.receive_content(actor=Actor.of(person()), recording_id=made.id, stream=[b"sound"])
    recordings.receive_content(actor=actor, recording_id=made.id, stream=[b"sound"])
    with pytest.raises(errors.RecordingAlreadyReceived):
        recordings.receive_content(actor=actor, recording_id=made.id, stream=[b"sound"])
    kept = CustodyItem.objects.filter(purpose="training").exclude(state="destroyed")
    assert [item.id for item in kept] == [Recording.objects.get(id=made.id).custody_id]


@pytest.mark.parametrize("transcript", ["", "   ", "a\x00b", "a\x1bb", "x" * 10_001])
def test_a_transcript_is_text(person: Any, transcript: str) -> None:
    challenge = passed_challenge(person())
    with pytest.raises(errors.TranscriptInvalid):
        recordings.create_recording(
            actor=Actor.of(challenge.person), challenge_id=challenge.id, language="en", transcript=transcript
        )


def test_an_examination_is_decided_once_and_failure_never_passes(person: Any) -> None:
    challenge, found = answered(person())
    decide(found, "refuse", reason="wrong_words")
    assert examination.begin(found.id) is None
    examination.decide(found.id, evidence=[], verdict="pass", reason="ok", advice={}, template=TEMPLATE)
    challenge.refresh_from_db()
    assert challenge.state == "refused"
    challenge, found = answered(person())
    for _ in range(examination.MAX_ATTEMPTS):
        assert examination.begin(found.id) is not None
    assert examination.begin(found.id) is None
    found.refresh_from_db()
    challenge.refresh_from_db()
    assert (found.state, found.reason, challenge.state) == ("failed", "worker_lost", "inconclusive")
    with pytest.raises(DatabaseError), transaction.atomic():
        Examination.objects.filter(id=found.id).update(verdict="pass")


def test_published_texts_are_pinned(monkeypatch: Any, tmp_path: Any) -> None:
    for agreement in agreements.agreements():
        assert len(agreement.sha256) == 64
    (tmp_path / "index.json").write_text(
        json.dumps(
            [{"version": "x", "kind": "consent", "language": "en", "file": "x.md", "offered": True, "sha256": "0" * 64}]
        )
    )
    (tmp_path / "x.md").write_text("changed")
    monkeypatch.setattr(agreements, "FOLDER", tmp_path)
    agreements.agreements.cache_clear()
    with pytest.raises(agreements.TextChanged):
        agreements.agreements()
    agreements.agreements.cache_clear()


def test_licences_cannot_be_wider_than_their_consent(person: Any) -> None:
    given = consent(person())
    customer = person()

    def grant(**more: Any) -> Licence:
        return licences.grant_licence(
            **{"actor": SYSTEM, "consent": given, "licensee": customer, "scope": {}, "characters_cap": 10, **more}
        )

    assert grant(scope={"languages": ["en"]}).scope == {"languages": ["en"]}
    cases: list[tuple[dict[str, Any], Any]] = [
        ({"scope": {"languages": ["zh"]}}, errors.ConsentScopeExceeded),
        ({"scope": {"uses": ["advertising"]}}, errors.ConsentScopeExceeded),
        ({"scope": {"colour": ["red"]}}, errors.LicenceInvalid),
        ({"scope": {"languages": "en"}}, errors.LicenceInvalid),
        ({"characters_cap": 0}, errors.LicenceInvalid),
        ({"valid_until": given.valid_until + timedelta(seconds=1)}, errors.LicenceInvalid),
        ({"valid_until": now()}, errors.LicenceInvalid),
        ({"licensee": given.person}, errors.LicenceInvalid),
    ]
    for more, error in cases:
        with pytest.raises(error):
            grant(**more)
    with pytest.raises(errors.ConsentScopeExceeded):
        grant(consent=consent(person(), uses={"own_use": True}))


def test_a_rehearsal_licence_cannot_be_granted_outside_the_rehearsal(person: Any, settings: Any) -> None:
    given, customer = consent(person()), person()
    settings.REHEARSAL = False
    with pytest.raises(errors.RehearsalOnly):
        licences.grant_licence(actor=SYSTEM, consent=given, licensee=customer, scope={}, characters_cap=10)
