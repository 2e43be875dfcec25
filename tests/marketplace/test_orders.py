"""Listings, orders and statements on a real database."""

import uuid
from datetime import UTC, datetime, timedelta

import pytest
from django.db import IntegrityError, transaction

from consent.models import Consent
from foundation import clock
from foundation.audit.models import Leaf
from foundation.errors import NotAllowed, NotFound
from foundation.identity.actors import Actor
from marketplace import errors, selectors, services
from marketplace.models import Listing, Order
from marketplace.states import WrongState
from safety.services import lift, restrict
from tests.marketplace.factories import consent_of, heard, ready_voice, used

pytestmark = pytest.mark.django_db
TERMS = {"title": "A calm voice", "price_minor": 199, "currency": "EUR", "languages": ["en"], "licence_days": 30}


@pytest.fixture
def owner(person):
    return person()


@pytest.fixture
def customer(person):
    return person()


@pytest.fixture
def operator(person):
    return Actor.of(person(role="operator"))


def offer(owner, voice=None, **terms):
    voice = voice or ready_voice(owner)
    return heard(services.create_listing(actor=Actor.of(owner), voice_id=voice.id, **{**TERMS, **terms}))


def buy(customer, listing, characters=10_000):
    return services.place_order(actor=Actor.of(customer), listing_id=listing.id, characters=characters)


def forbid(person, kind, ref, effect):
    moderator = Actor.of(person(role="moderator"))
    terms = {"effect": effect, "reason": "Harm.", "clause": "harm.any"}
    return restrict(actor=moderator, subject_kind=kind, subject_ref=str(ref), **terms)


# -- listings ---------------------------------------------------------------------------------------------------------
def test_a_listing_of_an_own_ready_voice_is_on_offer_and_in_the_log(owner):
    listing = offer(owner)
    assert list(selectors.shop()) == [listing]
    assert bytes(Leaf.objects.get(index=listing.leaf_index).body).count(b"listing.made") == 1


def test_somebody_elses_voice_cannot_be_listed_and_is_not_known(owner, customer):
    voice = ready_voice(owner)
    for voice_id in (voice.id, uuid.uuid4()):
        with pytest.raises(NotFound):
            services.create_listing(actor=Actor.of(customer), voice_id=voice_id, **TERMS)
    assert not Listing.objects.exists()


@pytest.mark.parametrize(
    ("consent", "refusal"),
    [
        ({"uses": {"own_use": True, "licence_to_others": False}}, errors.NotForOthers),
        ({"uses": {"own_use": True}}, errors.NotForOthers),
        ({"languages": ["zh"]}, errors.NotForOthers),
        ({"state": "withdrawn", "ended_at": datetime(2026, 1, 1, tzinfo=UTC), "ended_leaf": 0}, errors.NotForOthers),
    ],
)
def test_a_listing_stays_inside_the_consent(owner, consent, refusal):
    with pytest.raises(refusal):
        offer(owner, ready_voice(owner, **consent))


@pytest.mark.parametrize("state", ["training", "failed", "destroyed"])
def test_only_a_ready_voice_can_be_listed(owner, state):
    with pytest.raises(errors.VoiceNotReady):
        offer(owner, ready_voice(owner, voice_state=state))


@pytest.mark.parametrize(
    "terms",
    [
        {"price_minor": -1},
        {"price_minor": 10**18},
        {"currency": "XXX"},
        {"currency": "eur"},
        {"languages": []},
        {"licence_days": 0},
        {"licence_days": 3_651},
        {"title": "  "},
        {"title": "x" * 121},
    ],
)
def test_terms_outside_the_bounds_are_refused(owner, terms):
    with pytest.raises(errors.BadTerms):
        offer(owner, **terms)
    assert not Listing.objects.exists()


def test_a_rehearsal_voice_has_no_price_and_no_offer_outside_the_rehearsal(owner, settings):
    voice = ready_voice(owner, rehearsal=True)
    with pytest.raises(errors.RehearsalNotForSale):
        offer(owner, voice, price_minor=1)
    listing = offer(owner, voice, price_minor=0)
    assert listing.rehearsal
    with pytest.raises(IntegrityError, match="listing_rehearsal_free"), transaction.atomic():
        Listing.objects.filter(id=listing.id).update(price_minor=1)
    services.withdraw_listing(actor=Actor.of(owner), listing_id=listing.id)
    settings.REHEARSAL = False
    with pytest.raises(errors.RehearsalNotForSale):
        offer(owner, voice, price_minor=0)


def test_one_live_listing_per_voice_and_a_new_one_after_withdrawing(owner):
    voice = ready_voice(owner)
    first = offer(owner, voice)
    with pytest.raises(errors.AlreadyListed):
        offer(owner, voice)
    services.withdraw_listing(actor=Actor.of(owner), listing_id=first.id)
    with pytest.raises(errors.NotLive):
        services.withdraw_listing(actor=Actor.of(owner), listing_id=first.id)
    second = offer(owner, voice)
    assert list(selectors.shop()) == [second]


def test_only_the_owner_withdraws_a_listing(owner, customer):
    listing = offer(owner)
    with pytest.raises(NotFound):
        services.withdraw_listing(actor=Actor.of(customer), listing_id=listing.id)
    assert list(selectors.shop()) == [listing]


def test_an_offer_whose_consent_ran_out_leaves_the_shop(owner, customer):
    listing = offer(owner, ready_voice(owner, valid_until=clock.now() + timedelta(days=5)), licence_days=4)
    assert list(selectors.shop()) == [listing]
    clock.move_forward(timedelta(days=6))
    assert list(selectors.shop()) == []
    with pytest.raises(NotFound):
        selectors.listing(actor=Actor.of(customer), listing_id=listing.id)
    with pytest.raises(errors.NotForOthers):
        buy(customer, listing)
    assert selectors.listing(actor=Actor.of(owner), listing_id=listing.id) == listing


def test_a_term_beyond_the_consents_own_is_refused_when_it_is_offered_and_when_it_is_ordered(owner, customer, person):
    voice = ready_voice(owner, valid_until=clock.now() + timedelta(days=30))
    with pytest.raises(errors.TermTooLong, match="30 days"):
        offer(owner, voice, licence_days=30)
    listing = offer(owner, voice, licence_days=29)
    waiting = buy(customer, listing)
    clock.move_forward(timedelta(days=2))
    with pytest.raises(errors.TermTooLong):
        buy(person(), listing)
    with pytest.raises(errors.TermTooLong):
        services.check_still_on_offer(waiting)
    assert Order.objects.count() == 1


# -- orders -----------------------------------------------------------------------------------------------------------
def test_a_free_order_grants_the_licence_at_once(owner, customer):
    order = buy(customer, offer(owner, price_minor=0))
    assert order.state == "fulfilled"
    assert order.licence.licensee == customer
    assert order.licence.consent.person == owner
    assert (order.licence.characters_cap, order.licence.scope) == (10_000, {"languages": ["en"]})
    assert order.licence.valid_until <= clock.now() + timedelta(days=30)


def test_a_priced_order_waits_for_its_payment(owner, customer, operator):
    order = buy(customer, offer(owner), characters=1_833)
    assert (order.state, order.amount_minor, order.licence) == ("placed", 364, None)
    paid = services.record_payment(actor=operator, order_id=order.id, reference="Bank transfer 77")
    assert (paid.state, paid.licence.characters_cap) == ("fulfilled", 1_833)
    body = bytes(Leaf.objects.get(index=paid.leaf_index).body)
    assert b"Bank transfer" not in body
    with pytest.raises(WrongState):
        services.record_payment(actor=operator, order_id=order.id, reference="again")


@pytest.mark.parametrize("role", ["member", "moderator", "auditor"])
def test_only_operators_record_payments(owner, customer, person, role):
    order = buy(customer, offer(owner))
    for actor in (Actor.of(person(role=role)), Actor.of(customer)):
        with pytest.raises(NotAllowed):
            services.record_payment(actor=actor, order_id=order.id, reference="x")
        with pytest.raises(NotAllowed):
            services.fulfil(actor=actor, order_id=order.id)
    assert Order.objects.get().state == "placed"


def test_a_payment_stands_although_the_consent_was_withdrawn_meanwhile(owner, customer, operator):
    order = buy(customer, offer(owner))
    Consent.objects.update(state="withdrawn", ended_at=clock.now(), ended_leaf=0)
    with pytest.raises(errors.NotForOthers):
        services.record_payment(actor=operator, order_id=order.id, reference="77")
    order.refresh_from_db()
    assert (order.state, order.payment_ref, order.licence) == ("paid", "77", None)


def test_a_paid_order_can_be_fulfilled_once_what_stood_in_its_way_is_gone(owner, customer, person, operator):
    order = buy(customer, offer(owner))
    pause = forbid(person, "voice", order.listing.voice_id, "pause")
    with pytest.raises(errors.Restricted):
        services.record_payment(actor=operator, order_id=order.id, reference="77")
    lift(actor=Actor.of(person(role="moderator")), restriction_id=pause.id, reason="A mistake.", interested=())
    assert services.fulfil(actor=operator, order_id=order.id).state == "fulfilled"
    with pytest.raises(WrongState):
        services.fulfil(actor=operator, order_id=order.id)


def test_withdrawing_a_listing_does_not_break_an_order_that_was_placed(owner, customer, operator):
    listing = offer(owner)
    order = buy(customer, listing)
    services.withdraw_listing(actor=Actor.of(owner), listing_id=listing.id)
    assert services.record_payment(actor=operator, order_id=order.id, reference="77").state == "fulfilled"
    with pytest.raises(errors.NotLive):
        buy(customer, listing)


def test_nobody_orders_their_own_voice(owner):
    listing = offer(owner)
    with pytest.raises(errors.OwnVoice):
        buy(owner, listing)
    with pytest.raises(IntegrityError, match="order_not_own_voice"), transaction.atomic():
        Order.objects.create(
            listing=listing,
            customer=owner,
            seller=owner,
            characters=1_000,
            price_minor=199,
            currency="EUR",
            amount_minor=199,
            rehearsal=False,
        )


def test_the_database_keeps_the_amount_in_step_with_the_price(owner, customer):
    order = buy(customer, offer(owner))
    with pytest.raises(IntegrityError, match="order_amount_follows"), transaction.atomic():
        Order.objects.filter(id=order.id).update(amount_minor=order.amount_minor - 1)


@pytest.mark.parametrize("characters", [0, -1, 10**18])
def test_an_order_is_for_a_bounded_number_of_characters(owner, customer, characters):
    with pytest.raises(errors.BadTerms):
        buy(customer, offer(owner), characters=characters)


def test_one_unfinished_order_per_customer_and_listing(owner, customer):
    listing = offer(owner)
    order = buy(customer, listing)
    with pytest.raises(errors.OrderOpen):
        buy(customer, listing)
    services.cancel_order(actor=Actor.of(customer), order_id=order.id)
    assert buy(customer, listing).state == "placed"


def test_a_cancelled_order_can_be_neither_paid_nor_cancelled_again(owner, customer, person, operator):
    order = buy(customer, offer(owner))
    with pytest.raises(NotFound):
        services.cancel_order(actor=Actor.of(person()), order_id=order.id)
    services.cancel_order(actor=Actor.of(customer), order_id=order.id)
    for step in (
        lambda: services.cancel_order(actor=Actor.of(customer), order_id=order.id),
        lambda: services.record_payment(actor=operator, order_id=order.id, reference="77"),
        lambda: services.fulfil(actor=operator, order_id=order.id),
    ):
        with pytest.raises(WrongState):
            step()


def test_restricted_voices_owners_and_customers_do_not_trade(owner, customer, person):
    listing = offer(owner)
    forbid(person, "person", customer.id, "block")
    with pytest.raises(errors.Restricted):
        buy(customer, listing)
    buy(person(), listing)
    forbid(person, "voice", listing.voice_id, "pause")
    with pytest.raises(errors.Restricted):
        buy(person(), listing)
    with pytest.raises(errors.Restricted):
        offer(customer)


def test_orders_are_seen_by_both_sides_and_operators_alone(owner, customer, person, operator):
    order = buy(customer, offer(owner))
    for actor in (Actor.of(owner), Actor.of(customer), operator):
        assert selectors.order(actor=actor, order_id=order.id) == order
    for actor in (Actor.of(person()), Actor.of(person(role="moderator"))):
        with pytest.raises(NotFound):
            selectors.order(actor=actor, order_id=order.id)


# -- statements -------------------------------------------------------------------------------------------------------
def test_a_statement_prices_what_was_used_and_lists_free_uses_too(owner, customer, person, operator):
    voice = ready_voice(owner)
    order = buy(customer, offer(owner, voice))
    order = services.record_payment(actor=operator, order_id=order.id, reference="77")
    used(voice, customer, characters=1_500, licence=order.licence, mark=1)
    used(voice, customer, characters=333, licence=order.licence, mark=2)
    used(voice, owner, characters=80, mark=3)
    used(ready_voice(person()), person(), characters=999, mark=4)
    since, until = clock.now() - timedelta(days=1), clock.now() + timedelta(days=1)
    made = selectors.statement(owner_id=owner.id, since=since, until=until)
    assert [(line.characters, line.uses, line.amount_minor) for line in made.lines] == [(80, 1, 0), (1_833, 2, 364)]
    assert made.totals == {"EUR": 364}
    assert selectors.statement(owner_id=customer.id, since=since, until=until).lines == ()


def test_a_licence_granted_outside_the_shop_is_a_line_of_zero(owner, customer):
    from consent.licences import grant_licence

    voice = ready_voice(owner)
    licence = grant_licence(
        actor=Actor.of(owner), consent=voice.consent, licensee=customer, scope={}, characters_cap=100
    )
    used(voice, customer, characters=50, licence=licence)
    made = selectors.statement(
        owner_id=owner.id, since=clock.now() - timedelta(days=1), until=clock.now() + timedelta(days=1)
    )
    assert [(line.licence, line.amount_minor) for line in made.lines] == [(str(licence.id), 0)]
    assert made.totals == {}


def test_consents_without_voices_have_empty_statements(owner):
    consent_of(owner)
    made = selectors.statement(owner_id=owner.id, since=clock.now() - timedelta(days=1), until=clock.now())
    assert made.lines == ()
