"""In a real browser: a customer finds a voice, licenses it and is stopped exactly at its edge; its owner decides."""

import pytest

from cloning import services as cloning
from cloning.models import SpeechRequest
from consent.acts import Act
from consent.models import Licence
from foundation.identity.actors import Actor
from marketplace import services, showcase
from tests.cloning import factories as make
from tests.vouch.web.test_browser import finished, own_voice, until

pytestmark = [pytest.mark.browser, pytest.mark.enable_socket, pytest.mark.django_db(transaction=True)]
LINE = "Twenty letters here."


def spoken(person, voice, text=make.TEXT):
    request = cloning.request_speech(actor=Actor.of(person), voice_id=voice.id, text=text, language="en")
    return finished(request)


@pytest.fixture
def offer(person):
    """An offer in the shop, heard by a moderator."""
    owner = person()
    voice = own_voice(owner)
    made = services.create_listing(
        actor=Actor.of(owner), voice_id=voice.id, title="A calm alto", price_minor=0, currency="EUR",
        languages=["en"], licence_days=20, text="VL-COMMERCIAL-1", tags=["audiobook"],
        terms={"channels": ["online"], "notice_days": 30}, conditions="Not for toys.",
        preview_id=spoken(owner, voice).id, act=Act("session", "the owner's"),
    )  # fmt: skip
    moderator = Actor.of(person(role="moderator"))
    return showcase.review(actor=moderator, listing_id=made.id, publish=True)


def test_a_customer_finds_a_voice_licenses_it_and_is_stopped_exactly_at_the_edge(page, sign_in, person, offer):
    customer = person()
    sign_in(customer).goto("/market")
    page.get_by_label("Words").fill("nothing like it")
    page.get_by_role("button", name="Search", exact=True).click()
    page.get_by_text("No voice on offer fits.").wait_for()
    page.get_by_label("Words").fill("audiobook calm")
    page.get_by_role("button", name="Search", exact=True).click()
    card = page.locator(f"#offer-{offer.id}")
    card.locator("vouch-player audio").wait_for()
    assert "made by artificial intelligence" in card.locator("vouch-player .label").inner_text()
    card.get_by_text("What the licence covers").click()
    assert "Online" in card.locator(".scope").inner_text()
    card.locator(f"#n-{offer.id}").fill(str(len(LINE)))
    card.get_by_role("button", name="Order").click()
    licence = until(lambda: Licence.objects.first())
    assert {side: act["means"] for side, act in licence.statement["signatures"].items()} == {
        "licensor": "session", "licensee": "session",
    }  # fmt: skip
    page.get_by_role("link", name="Open").click()
    page.get_by_text("0 of 20 used, 20 left").wait_for()
    page.get_by_role("link", name="Speak").click()
    page.get_by_label("What shall it say?").fill(LINE)
    page.get_by_role("button", name="Speak").click()
    page.get_by_role("alert").filter(has_text="channels: say where the recording is for").wait_for()
    assert not SpeechRequest.objects.filter(requester=customer).exists()
    page.get_by_label("Channel").select_option("online")
    page.get_by_role("button", name="Speak").click()
    finished(until(lambda: SpeechRequest.objects.filter(requester=customer).first()))
    page.locator("article[data-loaded]").wait_for()
    page.get_by_label("What shall it say?").fill("a")
    page.get_by_role("button", name="Speak").click()
    page.get_by_role("alert").filter(has_text="cap: 20 of 20 characters used").wait_for()
    assert SpeechRequest.objects.filter(requester=customer).count() == 1
    page.goto(f"/licences/{licence.id}")
    page.get_by_text("20 of 20 used, 0 left").wait_for()


def test_an_owner_approves_a_text_and_stops_a_licence(page, sign_in, person):
    owner, customer = person(), person()
    voice = own_voice(owner)
    licence = make.licence(voice.consent, customer, scope={"moderation": "every", "notice_days": 30})
    request = cloning.request_speech(actor=Actor.of(customer), voice_id=voice.id, text=LINE, language="en")
    sign_in(owner).goto("/market/offers")
    page.get_by_text(LINE).wait_for()
    with page.expect_navigation():
        page.get_by_role("button", name="Approve exactly this text").click()
    until(lambda: SpeechRequest.objects.get(id=request.id).job.state == "queued")
    page.goto(f"/licences/{licence.id}")
    page.get_by_role("button", name="Give notice").click()
    page.get_by_text("The owner has given notice").wait_for()
    page.get_by_label("Safety stop: what harm is done?").fill("It is used to deceive.")
    page.get_by_role("button", name="Stop now").click()
    page.get_by_text("safety_stop").wait_for()
    assert Licence.objects.get().state == "ended"


def test_an_owner_offers_a_voice_with_a_preview_and_a_moderator_publishes_it(page, sign_in, person):
    owner = person()
    voice = own_voice(owner)
    preview = spoken(owner, voice)
    sign_in(owner).goto("/market/offers")
    page.get_by_label("Title").fill("Evening reader")
    page.get_by_label("Preview:").select_option(str(preview.id))
    page.get_by_label("Licence text").select_option("VL-NO-ADS-1")
    page.get_by_label("Recordings after the end").select_option("take_down")
    page.get_by_label("Days a licence lasts").fill("7")  # the consent has less than thirty left
    page.get_by_label("Politics").check()
    page.get_by_role("button", name="Offer it").click()
    page.get_by_text("Waits for a review").wait_for()
    sign_in(person(role="moderator")).goto("/market")
    page.get_by_role("heading", name="Offers that wait for a review").wait_for()
    page.get_by_role("button", name="Publish").click()
    page.locator("vouch-player").wait_for()
    listing = voice.listings.get()
    assert (listing.review, listing.scope["text"]) == ("published", "VL-NO-ADS-1")
    assert listing.scope["terms"]["blocked"] == ["politics"]
    assert listing.act["means"] == "session"
