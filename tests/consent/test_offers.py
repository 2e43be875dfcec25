"""Offered, countered, signed by both: the licence, its text, its receipts; and what is refused on the way."""

import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.db import DatabaseError, connection, transaction

from consent import errors, licence_classes, licence_proofs, licence_receipts, licences, offers, seats
from consent.acts import Act
from consent.agreements import TextChanged
from consent.models import Consent, Licence, LicenceOffer, LicenceText
from foundation import clock, keys
from foundation.audit.models import Leaf
from foundation.errors import NotFound
from foundation.identity.actors import Actor
from tests.cloning.factories import consent

pytestmark = pytest.mark.django_db
HERS, HIS = Act("session", "the owner's session"), Act("key", "the customer's key")
TERMS: dict[str, Any] = {"scope": {"channels": ["online"]}, "characters": 10_000, "days": 20, "text": "VL-COMMERCIAL-1"}


@pytest.fixture
def owner(person):
    return person()


@pytest.fixture
def customer(person):
    return person()


@pytest.fixture
def ground(owner):
    return consent(owner)


def asked(customer, ground, **terms):
    return offers.propose(actor=Actor.of(customer), act=HIS, consent_id=ground.id, **{**TERMS, **terms})


def kinds():
    return [leaf.kind for leaf in Leaf.objects.order_by("index") if leaf.kind.startswith("licence.")]


def test_asked_countered_and_signed_by_both_it_is_a_licence_with_a_receipt_for_both(owner, customer, ground):
    first = asked(customer, ground)
    second = offers.counter(
        actor=Actor.of(owner), act=HERS, offer_id=first.id, **{**TERMS, "scope": {"notice_days": 30}, "days": 10}
    )
    licence = offers.sign(actor=Actor.of(customer), act=HIS, offer_id=second.id)
    assert (licence.characters_cap, licence.text_id) == (10_000, "VL-COMMERCIAL-1")
    assert licence.scope["notice_days"] == 30
    assert "broadcast" not in licence.scope["channels"]
    assert licence.valid_until <= clock.now() + timedelta(days=10)
    first.refresh_from_db()
    second.refresh_from_db()
    assert (first.state, second.state, second.licence_id) == ("countered", "signed", licence.id)
    assert kinds() == ["licence.offered", "licence.countered", "licence.granted"]
    signed = licence.statement["signatures"]
    assert (signed["licensor"]["means"], signed["licensee"]["means"]) == ("session", "key")


@pytest.mark.django_db(transaction=True)
def test_the_receipt_proves_the_licence_offline_and_nothing_else(owner, customer):
    licence = offers.sign(actor=Actor.of(owner), act=HERS, offer_id=asked(customer, consent(owner)).id)
    receipt, key = licence_receipts.issue(licence), keys.public_key("log")
    statement = licence_proofs.verify(receipt, key)
    assert (statement["licensee"], statement["text"]["id"]) == (str(customer.id), "VL-COMMERCIAL-1")
    for change in (
        {"statement": {**statement, "characters": 10_001}},
        {"statement": {**statement, "scope": {}}},
        {"signature": "00" * 64},
        {"kind": "vouch-consent-receipt-2"},
    ):
        with pytest.raises(licence_proofs.ReceiptInvalid):
            licence_proofs.verify({**receipt, **change}, key)
    with pytest.raises(licence_proofs.ReceiptInvalid):
        licence_proofs.verify(receipt, keys.public_key("gate"))


def test_nobody_else_sees_or_answers_an_offer_and_nobody_signs_their_own(owner, customer, person, ground):
    offer = asked(customer, ground)
    for actor, refusal in ((Actor.of(person()), NotFound), (Actor.of(customer), errors.OfferClosed)):
        with pytest.raises(refusal):
            offers.sign(actor=actor, act=HIS, offer_id=offer.id)
        with pytest.raises(refusal):
            offers.counter(actor=actor, act=HIS, offer_id=offer.id, **TERMS)
    assert list(offers.offers_of(actor=Actor.of(person()))) == []
    assert not Licence.objects.exists()
    offers.decline(actor=Actor.of(customer), offer_id=offer.id)
    with pytest.raises(errors.OfferClosed):
        offers.sign(actor=Actor.of(owner), act=HERS, offer_id=offer.id)


def test_a_private_consent_is_not_known_and_an_owner_names_somebody(owner, customer, ground):
    private = consent(owner, uses={"own_use": True})
    with pytest.raises(NotFound):
        asked(customer, private)
    with pytest.raises(NotFound):
        offers.propose(actor=Actor.of(owner), act=HERS, consent_id=ground.id, licensee_id=uuid.uuid4(), **TERMS)
    for nobody in (None, owner.id):
        with pytest.raises(errors.LicenceInvalid):
            offers.propose(actor=Actor.of(owner), act=HERS, consent_id=ground.id, licensee_id=nobody, **TERMS)
    made = offers.propose(actor=Actor.of(owner), act=HERS, consent_id=ground.id, licensee_id=customer.id, **TERMS)
    assert offers.sign(actor=Actor.of(customer), act=HIS, offer_id=made.id).licensee == customer


@pytest.mark.parametrize(
    ("terms", "refusal", "clause"),
    [
        ({"days": 31}, errors.ConsentScopeExceeded, "term"),
        ({"days": 3_651}, errors.LicenceInvalid, "term"),
        ({"characters": 0}, errors.LicenceInvalid, "caps.characters"),
        ({"characters": -1}, errors.LicenceInvalid, "caps.characters"),
        ({"characters": 10**18}, errors.LicenceInvalid, "caps.characters"),
        ({"scope": {"caps": {"seconds": 0}}}, errors.LicenceInvalid, "caps.seconds"),
        ({"scope": {"languages": ["zh"]}}, errors.ConsentScopeExceeded, "languages"),
        ({"scope": {"uses": ["advertising"]}}, errors.ConsentScopeExceeded, "uses"),
        ({"scope": {"channels": ["broadcast"]}}, errors.LicenceInvalid, "channels"),
        ({"scope": {"exclusive": True}}, errors.LicenceInvalid, "exclusive"),
        ({"text": "VL-NONE-1"}, errors.LicenceTextUnknown, None),
        ({"text": "VL-NO-ADS-1", "scope": {"uses": ["advertising"]}}, errors.LicenceInvalid, "uses"),
    ],
)
def test_terms_beyond_the_consent_or_the_text_are_refused_by_clause(customer, ground, terms, refusal, clause):
    with pytest.raises(refusal) as refused:
        asked(customer, ground, **terms)
    assert refused.value.extra.get("clause") == clause
    assert not LicenceOffer.objects.exists()


def test_a_licence_of_a_revoked_consent_is_refused(owner, customer, ground):
    offer = asked(customer, ground)
    Consent.objects.filter(id=ground.id).update(state="withdrawn", ended_at=clock.now(), ended_leaf=0)
    with pytest.raises(errors.ConsentNotActive):
        offers.sign(actor=Actor.of(owner), act=HERS, offer_id=offer.id)
    with pytest.raises(errors.ConsentNotActive):
        asked(customer, ground)
    assert not Licence.objects.exists()


def test_one_open_offer_between_two_and_it_lapses(owner, customer, ground):
    offer = asked(customer, ground)
    with pytest.raises(offers.OfferOpen):
        asked(customer, ground)
    assert offers.lapse() == 0
    clock.move_forward(offers.OPEN_FOR)
    with pytest.raises(errors.OfferClosed):
        offers.sign(actor=Actor.of(owner), act=HERS, offer_id=offer.id)
    assert offers.lapse() == 1


def test_an_exclusive_licence_stands_alone(person, customer, ground):
    grant = {"actor": Actor.system("test"), "consent": ground, "scope": {}, "characters_cap": 5}
    first = licences.grant_licence(**grant, licensee=customer)
    with pytest.raises(errors.LicenceExclusive):
        licences.grant_licence(**grant, licensee=person(), text="VL-EXCLUSIVE-1")
    licences.end_licence(actor=Actor.of(customer), licence_id=first.id, reason="given_up")
    assert licences.grant_licence(**grant, licensee=person(), text="VL-EXCLUSIVE-1").scope["exclusive"] is True
    with pytest.raises(errors.LicenceExclusive):
        licences.grant_licence(**grant, licensee=customer)


def test_the_database_keeps_texts_licences_and_offers_as_they_were_signed(owner, customer, ground):
    offer = asked(customer, ground)
    licence = offers.sign(actor=Actor.of(owner), act=HERS, offer_id=offer.id)
    tries = [
        lambda: LicenceText.objects.filter(id=licence.text_id).update(sha256="0" * 64),
        lambda: LicenceText.objects.all()._raw_delete("default"),
        lambda: connection.cursor().execute("TRUNCATE consent_licencetext CASCADE"),
        lambda: Licence.objects.filter(id=licence.id).update(scope={}),
        lambda: Licence.objects.filter(id=licence.id).update(characters_cap=99),
        lambda: Licence.objects.filter(id=licence.id).update(valid_until=licence.valid_until + timedelta(seconds=1)),
        lambda: Licence.objects.filter(id=licence.id)._raw_delete("default"),
        lambda: LicenceOffer.objects.filter(id=offer.id).update(characters=99),
    ]
    for attempt in tries:
        with pytest.raises(DatabaseError), transaction.atomic():
            attempt()


def test_a_text_that_was_changed_on_disk_is_not_granted(ground, customer, monkeypatch, tmp_path):
    licences.grant_licence(
        actor=Actor.system("test"), consent=ground, licensee=customer, scope={}, characters_cap=5, text="VL-PERSONAL-1"
    )
    changed = licence_classes.LicenceClass("VL-PERSONAL-1", True, {}, {"en": "other"}, {}, "0" * 64)
    with pytest.raises(TextChanged):
        licence_classes.keep(changed)
    for path in licence_classes.FOLDER.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "VL-PERSONAL-1.en.md").write_text("All rights granted.")
    monkeypatch.setattr(licence_classes, "FOLDER", tmp_path)
    licence_classes.classes.cache_clear()
    with pytest.raises(TextChanged):
        licence_classes.classes()
    licence_classes.classes.cache_clear()


def test_every_text_exists_in_both_languages_and_says_what_it_is():
    known = {one.id: one for one in licence_classes.classes()}
    assert known.keys() >= {
        "VL-STANDARD-1", "VL-PERSONAL-1", "VL-COMMERCIAL-1", "VL-EXCLUSIVE-1", "VL-BROADCAST-1", "VL-NO-ADS-1",
    }  # fmt: skip
    for one in known.values():
        assert one.texts.keys() == {"en", "zh"}
        assert all(one.id in text for text in one.texts.values())


def test_seats_are_as_many_as_licensed_and_join_by_code_once(owner, customer, person, ground):
    licence = licences.grant_licence(
        actor=Actor.system("test"), consent=ground, licensee=customer, scope={"caps": {"seats": 2}}, characters_cap=5
    )
    second, third = person(), person()
    with pytest.raises(NotFound):
        seats.invite(actor=Actor.of(owner), licence_id=licence.id)
    seat, code = seats.invite(actor=Actor.of(customer), licence_id=licence.id)
    with pytest.raises(errors.SeatsTaken, match="cap: 2 of 2 seats used"):
        seats.invite(actor=Actor.of(customer), licence_id=licence.id)
    with pytest.raises(seats.SeatedAlready):
        seats.join(actor=Actor.of(customer), code=code)
    assert seats.join(actor=Actor.of(second), code=code).person == second
    for code_again in (code, "", "nonsense"):
        with pytest.raises(NotFound):
            seats.join(actor=Actor.of(third), code=code_again)
    with pytest.raises(NotFound):
        seats.take_back(actor=Actor.of(third), seat_id=seat.id)
    seats.take_back(actor=Actor.of(second), seat_id=seat.id)
    _, code = seats.invite(actor=Actor.of(customer), licence_id=licence.id)
    assert seats.join(actor=Actor.of(third), code=code).person == third
