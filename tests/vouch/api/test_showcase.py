"""The shop window over HTTP; and who may not."""

import uuid

import pytest

from marketplace.models import Listing, ProtectedName, SoundSearch
from safety.models import Report
from tests.marketplace.factories import preview_for, published, ready_voice

pytestmark = pytest.mark.django_db


@pytest.fixture
def owner(person):
    return person()


@pytest.fixture
def voice(owner):
    return ready_voice(owner, rehearsal=True)


def terms(voice, **fields):
    free = {"title": "A calm alto", "price_minor": 0, "currency": "EUR", "languages": ["en"], "licence_days": 30}
    return {"voice": str(voice.id), **free, **fields}


def test_from_an_offer_with_a_preview_to_the_shop_and_a_signed_licence(api, person, owner, voice):
    body = terms(voice, preview=str(preview_for(voice, b"sound").id), tags=["alto"], text="VL-NO-ADS-1")
    made = api(owner).post("listings", json=body).json()
    assert (made["review"], made["has_preview"]) == ("waiting", True)
    client, desk = api(person()), api(person(role="moderator"))
    assert client.get("listings?q=alto").json() == []
    assert [one["id"] for one in desk.get("listings/reviews").json()] == [made["id"]]
    for nobody in (client, api(owner)):
        assert nobody.get("listings/reviews").status_code == 403
        assert nobody.post(f"listings/{made['id']}/review", json={"decision": "publish"}).status_code == 403
    assert client.get(f"listings/{made['id']}/preview").status_code == 404
    assert desk.post(f"listings/{made['id']}/review", json={"decision": "publish"}).json()["review"] == "published"
    assert [one["id"] for one in client.get("listings?q=alto&language=en&tag=alto").json()] == [made["id"]]
    heard = client.get(f"listings/{made['id']}/preview")
    assert b"".join(heard.streaming_content) == b"sound"
    address = f"listings/{made['id']}/preview"
    part = client.get(address, Range="bytes=1-3")
    assert (part.status_code, b"".join(part.streaming_content)) == (206, b"oun")
    assert part["Content-Range"] == "bytes 1-3/5"
    assert client.get(address, **{"If-None-Match": heard["ETag"]}).status_code == 304
    outside = client.get(address, Range="bytes=5-")
    assert (outside.status_code, outside.json()["code"]) == (416, "range_not_satisfiable")
    order = client.post("orders", json={"listing": made["id"], "characters": 100}).json()
    licence = client.get(f"licences/{order['licence']}").json()
    assert (licence["text"], licence["scope"]["uses"]) == ("VL-NO-ADS-1", [])


def test_a_preview_can_be_set_later_and_only_by_the_owner(api, person, owner, voice):
    made = api(owner).post("listings", json=terms(voice)).json()
    body = {"output": str(preview_for(voice).id)}
    assert api(person()).post(f"listings/{made['id']}/preview", json=body).status_code == 404
    assert Listing.objects.get().review == "unlisted"
    assert api(owner).post(f"listings/{made['id']}/preview", json=body).json()["review"] == "waiting"


def test_names_are_protected_by_moderators_alone(api, person, owner, voice):
    body = {"name": "Mira Lindqvist"}
    assert api(owner).post("protected-names", json=body).status_code == 403
    assert not ProtectedName.objects.exists()
    assert api(person(role="moderator")).post("protected-names", json=body).status_code == 204
    refused = api(owner).post("listings", json=terms(voice, title="M1ra Lindqvist"))
    assert (refused.status_code, refused.json()["code"], refused.json()["rule"]) == (
        422, "name_refused", "protected_name",
    )  # fmt: skip


def test_an_offer_is_reported_to_the_moderators(api, person, owner, voice):
    listing = api(owner).post("listings", json=terms(voice)).json()["id"]
    made = api(person()).post(f"listings/{listing}/report", json={"text": "This is my neighbour's voice."})
    assert made.status_code == 201
    assert Report.objects.get().case.subject_ref == str(voice.id)
    assert api(person()).post(f"listings/{uuid.uuid4()}/report", json={"text": "x"}).status_code == 404


def test_a_search_by_sound_takes_a_clip_and_shows_no_measurement(api, person):
    client = api(person())
    asked = client.post("sound-searches", content=b"RIFF" + bytes(100))
    assert (asked.status_code, asked.json()["state"], asked.json()["found"]) == (202, "queued", [])
    assert client.get(f"sound-searches/{asked.json()['id']}").json()["state"] == "queued"
    assert api(person()).get(f"sound-searches/{asked.json()['id']}").status_code == 404
    assert client.post("sound-searches", content=b"").status_code == 411
    assert SoundSearch.objects.count() == 1


@pytest.mark.parametrize(
    ("verb", "path"),
    [
        ("get", "listings/reviews"), ("get", "listings/{id}/preview"), ("post", "listings/{id}/preview"),
        ("post", "listings/{id}/review"), ("post", "listings/{id}/report"), ("post", "protected-names"),
        ("post", "sound-searches"), ("get", "sound-searches/{id}"),
    ],
)  # fmt: skip
def test_strangers_do_nothing_here(api, voice, verb, path):
    assert getattr(api(None), verb)(path.format(id=voice.id)).status_code == 401


def test_the_shop_shows_what_was_published_to_members_only(api, person, owner, voice):
    listing = api(owner).post("listings", json=terms(voice)).json()["id"]
    published(Listing.objects.get(id=listing), person(role="moderator"))
    assert len(api(person()).get("listings").json()) == 1
    assert api(None).get("listings").status_code == 401
