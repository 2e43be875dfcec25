"""The list of recordings: one's own, a page at a time, found by what is known of them, in a handful of queries."""

import json
import re
import uuid
from typing import Any

import pytest
from django.test import Client

from cloning import texts
from cloning.manner import BOUNDS, PRESETS
from cloning.models import LANGUAGES, Job, Output, SpeechRequest
from foundation.identity.models import Person
from foundation.vault.models import SealedObject
from safety.models import Restriction
from safety.policy import evaluate
from tests.marketplace.factories import ready_voice
from vouch.web import manners, takes

pytestmark = pytest.mark.django_db


def recorded(person: Person, voice: Any, text: str, n: int = 1, container: str = "mp3") -> list[Output]:
    made = []
    for _ in range(n):
        job = Job.objects.create(kind="speak", voice=voice, requester=person, state="succeeded", stage="done")
        request = SpeechRequest.objects.create(
            job=job, voice=voice, requester=person, text="", text_digest=texts.digest(text), characters=len(text),
            language="en", seed=7, container=container, manner={"speed": 1.2},
        )  # fmt: skip
        made.append(
            Output.objects.create(
                request=request, voice=voice, requester=person, sealed=SealedObject.objects.first(), seconds=8.0,
                media_type="audio/mpeg", sha256="0" * 64, label_seconds=4.0, mark_payload=Output.objects.count() + 1,
                provenance={"statement": {"status": {"list": 1, "index": 3}}}, leaf_index=0, rehearsal=True,
            )
        )  # fmt: skip
    return made


@pytest.fixture
def mine(person: Any) -> tuple[Person, Client, Any]:
    owner = person()
    client = Client()
    client.force_login(owner)
    return owner, client, ready_voice(owner, rehearsal=True)


def rows(body: str) -> list[dict[str, Any]]:
    return [json.loads(one.replace("&quot;", '"')) for one in re.findall(r'data-take="([^"]*)"', body)]


def test_pages_hold_every_recording_once_and_nobody_elses(mine, person, django_assert_max_num_queries):
    owner, client, voice = mine
    wanted = [str(one.id) for one in recorded(owner, voice, "Good morning.", takes.PAGE * 2 + 3)]
    recorded(person(), voice, "Somebody else asked for this.")
    seen, path = [], "/recordings"
    while path:
        with django_assert_max_num_queries(8):
            body = client.get(path).content.decode()
        seen += [row["output"]["id"] for row in rows(body)]
        older = re.search(r'href="(\?[^"]*before=[^"]*)"', body)
        path = "/recordings" + older[1].replace("&amp;", "&") if older else ""
    assert seen == wanted[::-1]
    first = rows(client.get("/recordings").content.decode())[0]
    assert first["request"]["manner"] == {"speed": 1.2}
    assert first["output"]["status"] == {"list": 1, "index": 3}


def test_a_recording_is_found_by_voice_whole_text_number_or_format(mine):
    owner, client, voice = mine
    (one,) = recorded(owner, voice, "The train leaves at nine.", container="flac")
    (other,) = recorded(owner, voice, "Nobody knew.")

    def found(**asked: str) -> set[str]:
        return {row["output"]["id"] for row in rows(client.get("/recordings", asked).content.decode())}

    assert found(q="The train leaves at nine.") == {str(one.id)}
    assert found(q="train") == set()  # its words are not kept here
    assert found(q="train", ids=str(other.request_id)) == {str(other.id)}
    assert found(container="flac") == {str(one.id)}
    assert found(voice=str(voice.id)) == found(q=voice.name[:4]) == {str(one.id), str(other.id)}
    assert found(voice=str(uuid.uuid4())) == set()


@pytest.mark.parametrize("asked", ["before=x", "before=2026-01-01T00:00:00~x", "voice=1", "q=a&ids=1,2"])
def test_what_was_never_a_link_of_ours_is_not_found(mine, asked):
    assert mine[1].get(f"/recordings?{asked}").status_code == 404


def test_what_was_withdrawn_is_shown_as_that_and_offers_nothing_to_hear(mine):
    owner, client, voice = mine
    stopped, _ = recorded(owner, voice, "Good morning.", 2)
    Restriction.objects.create(subject_kind="output", subject_ref=str(stopped.id), effect="quarantine", reason="test")
    body = client.get("/recordings").content.decode()
    assert body.count("data-listen") == 1
    assert "Withdrawn by a moderator" in body


def test_the_sliders_have_the_bounds_of_the_back_end():
    assert {one["name"] for one in manners.sliders()} <= BOUNDS.keys()
    for one in manners.sliders():
        assert [float(str(one[end])) for end in ("least", "most")] == list(BOUNDS[str(one["name"])])
    first, *others = manners.moods({"gentle": "{}"})
    assert (first.name, first.settings, first.sample) == (manners.PLAIN, [], "")
    assert {one.name: {key: float(value) for key, value in one.settings} for one in others} == PRESETS
    assert [one.name for one in others if one.sample] == ["gentle"]


def test_every_language_of_a_voice_has_a_sample_that_may_be_spoken():
    assert set(manners.SAMPLES) == set(LANGUAGES)
    for language, text in manners.SAMPLES.items():
        assert texts.check_text(text) == text
        assert evaluate(text, language=language).outcome == "allow"


def test_a_mood_is_heard_again_from_the_newest_recording_of_it_that_stands(mine, person):
    owner, client, voice = mine
    said = manners.SAMPLES[voice.language]

    def sample(text: str = said, who: Person = owner, **fields: Any) -> Output:
        (made,) = recorded(who, voice, text)
        SpeechRequest.objects.filter(id=made.request_id).update(**{"seed": manners.SAMPLE_SEED, **fields})
        return made

    def heard() -> dict[str, str]:
        body = client.get(f"/voices/{voice.id}").content.decode()
        found = re.findall(r'name="mood"[^>]* value="(\w*)"[^>]* data-sample="([^"]*)"', body)
        assert [name for name, _ in found] == [manners.PLAIN, *PRESETS]
        return {name: json.loads(one.replace("&quot;", '"'))["output"]["id"] for name, one in found if one}

    gentle = dict(PRESETS["gentle"])
    assert heard() == {}
    sample("Another text.", manner=gentle)
    sample(manner=gentle, seed=manners.SAMPLE_SEED + 1)
    sample(manner={**gentle, "speed": 1.1})
    sample(manner=gentle, instant=True)
    sample(who=person(), manner=gentle)
    assert heard() == {}
    older, newer, plain = sample(manner=gentle), sample(manner=gentle), sample(manner={})
    assert heard() == {"gentle": str(newer.id), "": str(plain.id)}
    Restriction.objects.create(subject_kind="output", subject_ref=str(newer.id), effect="quarantine", reason="test")
    assert heard() == {"gentle": str(older.id), "": str(plain.id)}


def test_my_data_is_one_page_in_a_handful_of_queries(mine, django_assert_max_num_queries):
    from foundation.identity.actors import Actor
    from foundation.identity.services import issue_api_key, revoke_api_key

    owner, client, voice = mine
    recorded(owner, voice, "Good morning.", 2)
    actor = Actor.of(owner)
    kept, _ = issue_api_key(actor=actor, person=owner, name="my program", scopes=["speak"])
    gone, _ = issue_api_key(actor=actor, person=owner, name="old program")
    revoke_api_key(actor=actor, key_id=str(gone.id))
    with django_assert_max_num_queries(20):
        body = client.get("/me").content.decode()
    assert "2 recordings in synthetic voices" in body
    assert "/api/v1/me/export" in body
    assert str(kept.id) in body
    assert str(gone.id) not in body
    assert f'data-withdraw="{voice.consent_id}"' in body
