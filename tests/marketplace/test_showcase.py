"""Previews, reviews, names, conditions, search by text; and an order that carries the listing's terms."""

import uuid

import pytest

from cloning.models import Output
from consent.acts import Act
from consent.errors import ConsentScopeExceeded, LicenceInvalid, LicenceTextUnknown
from foundation.audit.models import Leaf
from foundation.errors import NotAllowed, NotFound, Refused
from foundation.identity.actors import Actor
from foundation.vault.models import KeyState
from marketplace import errors, selectors, services, showcase
from marketplace.models import Listing, Order
from safety.protected import protect
from tests.marketplace.factories import heard, preview_for, published, ready_voice

pytestmark = pytest.mark.django_db
TERMS = {"title": "A calm voice", "price_minor": 0, "currency": "EUR", "languages": ["en"], "licence_days": 30}


@pytest.fixture
def owner(person):
    return person()


@pytest.fixture
def moderator(person):
    return person(role="moderator")


def offer(owner, voice=None, **terms):
    return services.create_listing(
        actor=Actor.of(owner), voice_id=(voice or ready_voice(owner)).id, **{**TERMS, **terms}
    )


def test_an_offer_with_a_preview_waits_and_stands_in_the_shop_after_a_moderator_heard_it(owner, moderator, person):
    voice = ready_voice(owner)
    listing = offer(owner, voice, preview_id=preview_for(voice).id)
    assert (listing.review, list(selectors.shop())) == ("waiting", [])
    assert list(showcase.waiting(actor=Actor.of(moderator))) == [listing]
    stranger = Actor.of(person())
    with pytest.raises(NotFound):
        showcase.preview_of(actor=stranger, listing_id=listing.id)
    with pytest.raises(errors.NotReviewed):
        services.place_order(actor=stranger, listing_id=listing.id, characters=500)
    assert not Order.objects.exists()
    assert showcase.preview_of(actor=Actor.of(moderator), listing_id=listing.id)
    showcase.review(actor=Actor.of(moderator), listing_id=listing.id, publish=True)
    assert list(selectors.shop()) == [listing]
    assert showcase.preview_of(actor=Actor.of(person()), listing_id=listing.id)
    assert Leaf.objects.filter(kind="listing.published").count() == 1
    with pytest.raises(errors.NotWaiting):
        showcase.review(actor=Actor.of(moderator), listing_id=listing.id, publish=True)


def test_what_is_turned_down_says_why_and_may_be_asked_again(owner, moderator):
    voice = ready_voice(owner)
    listing = offer(owner, voice, preview_id=preview_for(voice).id)
    with pytest.raises(Refused):
        showcase.review(actor=Actor.of(moderator), listing_id=listing.id, publish=False)
    showcase.review(actor=Actor.of(moderator), listing_id=listing.id, publish=False, reason="Hum in the room.")
    listing.refresh_from_db()
    assert (listing.review, listing.review_reason, list(selectors.shop())) == ("turned_down", "Hum in the room.", [])
    assert b"Hum" not in bytes(Leaf.objects.get(kind="listing.turned_down").body)
    again = showcase.ask_review(actor=Actor.of(owner), listing_id=listing.id, preview_id=preview_for(voice).id)
    assert (again.review, again.review_reason) == ("waiting", "")


def test_only_moderators_review_and_never_their_own(owner, person):
    voice = ready_voice(owner)
    listing = offer(owner, voice, preview_id=preview_for(voice).id)
    for nobody in (owner, person(), person(role="operator")):
        with pytest.raises(NotAllowed):
            showcase.review(actor=Actor.of(nobody), listing_id=listing.id, publish=True)
        with pytest.raises(NotAllowed):
            showcase.waiting(actor=Actor.of(nobody))
    chief = person(role="moderator")
    hers = ready_voice(chief)
    own = offer(chief, hers, title="Another", preview_id=preview_for(hers).id)
    with pytest.raises(NotAllowed):
        showcase.review(actor=Actor.of(chief), listing_id=own.id, publish=True)
    assert own not in showcase.waiting(actor=Actor.of(chief))
    assert list(selectors.shop()) == []


@pytest.mark.parametrize(
    ("fields", "refusal"),
    [({"seconds": 30.5}, errors.NoPreview), ({"state": "revoked"}, errors.NoPreview)],
)
def test_a_preview_is_bounded_and_stands(owner, fields, refusal):
    voice = ready_voice(owner)
    with pytest.raises(refusal):
        offer(owner, voice, preview_id=preview_for(voice, **fields).id)


def test_a_preview_is_of_this_voice_and_by_its_owner(owner, person):
    voice, other = ready_voice(owner), ready_voice(person())
    for stranger in (preview_for(other).id, uuid.uuid4()):
        with pytest.raises(NotFound):
            offer(owner, voice, preview_id=stranger)
    listing = offer(owner, voice)
    with pytest.raises(NotFound):
        showcase.ask_review(actor=Actor.of(other.owner), listing_id=listing.id, preview_id=preview_for(voice).id)
    assert Listing.objects.get().review == "unlisted"


def test_a_revoked_preview_is_not_played_any_more(owner, moderator, person):
    listing = published(offer(owner), moderator)
    Output.objects.filter(id=listing.preview_id).update(state="revoked")
    with pytest.raises(NotFound):
        showcase.preview_of(actor=Actor.of(person()), listing_id=listing.id)


def test_names_that_are_protected_now_or_later_do_not_get_into_the_shop(owner, moderator, person):
    with pytest.raises(NotAllowed):
        showcase.protect_name(actor=Actor.of(owner), name="Mira Lindqvist")
    voice = ready_voice(owner)
    listing = offer(owner, voice, title="Mira Lindqvist", preview_id=preview_for(voice).id)
    for _ in range(2):
        showcase.protect_name(actor=Actor.of(moderator), name="Mira Lindqvist")
    protect(actor=Actor.of(moderator), embedding=[1.0, 0.0], label="Jon Falk")
    with pytest.raises(errors.NameRefused) as refused:
        showcase.review(actor=Actor.of(moderator), listing_id=listing.id, publish=True)
    assert refused.value.extra["rule"] == "protected_name"
    for words in ({"title": "M1ra L1ndqvist"}, {"description": "As Jon Falk would say it"}, {"tags": ["jon falk"]}):
        with pytest.raises(errors.NameRefused):
            offer(owner, ready_voice(owner), **words)
    assert b"Mira" not in b"".join(bytes(one.body) for one in Leaf.objects.filter(kind="name.protected"))


def test_a_title_that_looks_like_another_owner_s_in_the_shop_is_taken(owner, moderator, person):
    published(offer(owner, title="Velvet Night"), moderator)
    with pytest.raises(errors.NameTaken):
        published(offer_of(person(), "VELVET N1GHT"), moderator)
    again = published(offer(owner, ready_voice(owner), title="Velvet Night"), moderator)
    assert again.review == "published"


def offer_of(somebody, title):
    return offer(somebody, ready_voice(somebody), title=title)


def test_a_withdrawn_offer_forgets_its_sound(owner, moderator):
    listing = published(offer(owner), moderator)
    listing.sound = listing.preview.sealed
    listing.save(update_fields=["sound"])
    services.withdraw_listing(actor=Actor.of(owner), listing_id=listing.id)
    listing.refresh_from_db()
    assert listing.sound is None
    assert Output.objects.get().sealed.key.state == KeyState.DESTROYED


@pytest.mark.parametrize(
    ("terms", "refusal"),
    [
        ({"terms": {"uses": ["advertising"]}}, ConsentScopeExceeded),
        ({"terms": {"territory": ["Germany"]}}, LicenceInvalid),
        ({"terms": {"caps": {"seconds": 0}}}, LicenceInvalid),
        ({"text": "VL-PERSONAL-1", "terms": {"channels": ["broadcast"]}}, LicenceInvalid),
        ({"text": "VL-NONE-9"}, LicenceTextUnknown),
        ({"tags": ["x"] * 5 + [str(n) for n in range(10)]}, errors.BadTerms),
        ({"conditions": "x" * 1_001}, errors.BadTerms),
    ],
)
def test_terms_and_words_out_of_bounds_are_refused(owner, terms, refusal):
    with pytest.raises(refusal):
        offer(owner, **terms)
    assert not Listing.objects.exists()


def test_an_order_signs_the_offer_s_text_and_terms(owner, person):
    listing = offer(
        owner,
        text="VL-COMMERCIAL-1",
        terms={"channels": ["online"], "blocked": ["politics"], "notice_days": 30, "survival": "take_down"},
        conditions="Not for toys.",
        act=Act("session", "hers"),
    )
    heard(listing)
    order = services.place_order(actor=Actor.of(person()), listing_id=listing.id, characters=500, act=Act("key", "his"))
    licence = order.licence
    assert licence.text_id == "VL-COMMERCIAL-1"
    assert licence.scope.pop("survival") == "take_down"
    assert licence.scope == {
        "languages": ["en"], "channels": ["online"], "blocked": ["politics"], "notice_days": 30,
    }  # fmt: skip
    signed = licence.statement["signatures"]
    assert (signed["licensor"]["means"], signed["licensee"]["means"]) == ("session", "key")


def test_the_shop_is_searched_by_words_tags_languages_uses_and_channels(owner, moderator, person):
    first = published(offer(owner, title="Warm alto", tags=["Audiobook "], description="Slow and kind"), moderator)
    other = person()
    voice = ready_voice(other, uses={"own_use": True, "licence_to_others": True, "advertising": True})
    second = published(
        offer(other, voice, title="明亮的男声", text="VL-COMMERCIAL-1", terms={"channels": ["online"]}), moderator
    )
    offer_of(person(), "Hidden alto")

    def ids(**asked):
        return {one.id for one in showcase.search(**asked)}

    assert ids() == {first.id, second.id}
    assert ids(text="alto WARM") == ids(text="audiobook") == ids(text="kind") == ids(tag="AUDIOBOOK") == {first.id}
    assert ids(text="男声") == ids(use="advertising") == {second.id}
    assert ids(text="alto soprano") == ids(language="zh") == ids(text="% _") == set()
    assert ids(channel="online") == {first.id, second.id}
    assert ids(channel="cinema") == {first.id}
