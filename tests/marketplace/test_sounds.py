"""Search by sound: like finds like, a clip is gone with its answer, and no measurement is ever shown."""

import io
from datetime import timedelta

import numpy as np
import pytest
import soundfile

from demo import recordings
from foundation import clock
from foundation.errors import NotFound
from foundation.identity.actors import Actor
from foundation.vault import services as vault
from foundation.vault.errors import KeyDestroyed
from foundation.vault.models import KeyState, SealedObject
from marketplace import services, sounds
from marketplace.models import Listing, SoundSearch
from safety.protected import protect
from tests.marketplace.factories import published, ready_voice

pytestmark = pytest.mark.django_db
TEXT = "The weather is lovely this morning, and the train to the coast leaves at nine from the old station."
OTHER_TEXT = "Please take the second road on the left and wait for me at the yellow house behind the mill."


@pytest.fixture(scope="module")
def speech():
    """``speech(voice, text)`` → a WAV file of a synthetic speaker."""

    def make(voice, text=TEXT):
        sound, rate = recordings.say(text, voice=voice, seed=3)
        held = io.BytesIO()
        soundfile.write(held, np.asarray(sound), rate, format="WAV", subtype="PCM_16")
        return held.getvalue()

    return make


@pytest.fixture
def moderator(person):
    return person(role="moderator")


@pytest.fixture
def shop(person, moderator, speech):
    """Two offers in the shop, heard: one of each synthetic speaker."""
    offers = {}
    for speaker in ("slt", "rms"):
        owner = person()
        listing = services.create_listing(
            actor=Actor.of(owner), voice_id=ready_voice(owner).id, title=f"Speaker {speaker}", price_minor=0,
            currency="EUR", languages=["en"], licence_days=30,
        )  # fmt: skip
        offers[speaker] = published(listing, moderator, speech(speaker))
        sounds.hear(listing.id)
        sounds.hear(listing.id)
    return offers


def search(person, clip):
    asked = sounds.request_search(actor=Actor.of(person), stream=[clip])
    sounds.run(asked.id)
    sounds.run(asked.id)
    return sounds.search_of(actor=Actor.of(person), search_id=asked.id)


def test_a_clip_finds_the_offer_that_sounds_like_it_first(shop, person, speech):
    found = search(person(), speech("slt", OTHER_TEXT))
    assert found.state == "done"
    listings = sounds.found_listings(found)
    assert listings[0][0].id == shop["slt"].id
    assert set(found.found[0]) == {"listing", "grade"}
    assert all(grade in {"close", "very_close"} for _, grade in listings)
    assert search(person(), speech("rms", OTHER_TEXT)).found[0]["listing"] == str(shop["rms"].id)


def test_the_clip_is_destroyed_with_the_answer_and_is_seen_by_nobody_else(shop, person, speech):
    asker = person()
    found = search(asker, speech("slt"))
    assert found.clip.state == "destroyed"
    assert SealedObject.objects.filter(kind="template", owner_ref__startswith="listing:").count() == 2
    with pytest.raises(NotFound):
        sounds.search_of(actor=Actor.of(person()), search_id=found.id)


def test_nobody_shops_for_a_stand_in_of_a_protected_voice(shop, person, moderator, speech):
    protect(actor=Actor.of(moderator), embedding=sounds._embedding(speech("slt")), label="A claimant")
    found = search(person(), speech("slt", OTHER_TEXT))
    assert (found.state, found.error_code, found.found) == ("failed", "protected_voice", [])


@pytest.mark.parametrize(
    ("clip", "code"), [(b"GIF89a" + bytes(5_000), "not_audio"), ("half a second", "clip_too_short")]
)
def test_what_cannot_be_compared_is_refused_by_name(person, speech, clip, code):
    if isinstance(clip, str):
        wave, rate = soundfile.read(io.BytesIO(speech("slt")))
        held = io.BytesIO()
        soundfile.write(held, wave[: rate // 2], rate, format="WAV")
        clip = held.getvalue()
    found = search(person(), clip)
    assert (found.state, found.error_code) == ("failed", code)
    assert found.clip.state == "destroyed"


def test_what_leaves_the_shop_is_found_no_more_and_its_measurement_ends(shop, person, speech):
    listing = shop["slt"]
    listing.refresh_from_db()
    kept = listing.sound
    services.withdraw_listing(actor=Actor.of(listing.owner), listing_id=listing.id)
    with pytest.raises(KeyDestroyed):
        vault.read(sealed_object=kept, actor=sounds.ACTOR)
    answer = search(person(), speech("slt", OTHER_TEXT))
    assert str(listing.id) not in [one["listing"] for one in answer.found]
    other = shop["rms"]
    other.voice.state, other.voice.destroyed_at = "destroyed", clock.now()
    other.voice.save(update_fields=["state", "destroyed_at"])
    assert sounds.tidy() == 1
    other.refresh_from_db()
    assert other.sound is None
    assert not SealedObject.objects.filter(owner_ref=f"listing:{other.id}", key__state=KeyState.ACTIVE).exists()


def test_a_search_nobody_answered_ends_and_answers_are_forgotten(shop, person, speech):
    asked = sounds.request_search(actor=Actor.of(person()), stream=[speech("slt")])
    answered = search(person(), speech("slt"))
    clock.move_forward(timedelta(hours=25))
    sounds.tidy()
    asked.refresh_from_db()
    answered.refresh_from_db()
    assert (asked.state, asked.error_code, answered.found) == ("failed", "not_answered", [])
    assert not SoundSearch.objects.filter(state="queued").exists()
    assert Listing.objects.count() == 2
