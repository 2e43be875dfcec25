"""The ceremony over HTTP: everything that is no honest answer or recording, refused by its name; and who may not."""

import io
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
import soundfile as sf
import soxr
import time_machine

from consent import tasks
from consent.models import Challenge, Consent, Examination, Recording
from foundation.audit.models import Leaf
from foundation.clock import move_forward
from retention.models import CustodyItem
from safety.models import Case
from tests.consent.factories import SECOND, decide, passed_challenge
from tests.consent.readers import RATE, said, wav
from tests.consent.test_held import held
from vouch.desk import effects

pytestmark = pytest.mark.django_db
TEXT = "The ferry leaves the harbour at nine, and the captain reads the names of all the islands aloud."


@pytest.fixture(autouse=True)
def still() -> Iterator[None]:
    """Time passes only where a test moves it: a slow machine is not a late speaker."""
    with time_machine.travel(datetime.now(UTC), tick=False):
        yield


def problem(response: Any) -> tuple[int, str]:
    return response.status_code, response.json()["code"]


def speech(voice: str = "slt") -> np.ndarray:
    return np.tile(said(TEXT, voice), 2)


def down(wave: np.ndarray) -> np.ndarray:
    return soxr.resample(wave, RATE, 8_000)


def two_people() -> np.ndarray:
    one, other = speech("slt"), speech("rms")
    size = min(one.size, other.size)
    return np.stack([one[:size], other[:size]], axis=1)


def with_nan() -> np.ndarray:
    wave = speech()
    wave[RATE] = np.nan
    return wave


def float_wav(wave: np.ndarray) -> bytes:
    out = io.BytesIO()
    sf.write(out, wave, RATE, format="WAV", subtype="FLOAT")
    return out.getvalue()


def an_hour() -> bytes:
    """3,600 s of silence as FLAC: a few kilobytes that would become hundreds of megabytes."""
    out = io.BytesIO()
    with sf.SoundFile(out, "w", RATE, 1, format="FLAC") as file:
        for _ in range(60):
            file.write(np.zeros(60 * RATE, np.int16))
    return out.getvalue()


BAD = {
    "not audio": (lambda: b"GIF89a" + bytes(5_000), {"not_audio"}),
    "noise": (lambda: wav(np.random.default_rng(0).normal(0, 0.1, 10 * RATE)), {"no_speech", "too_little_speech"}),
    "music": (lambda: wav(0.3 * np.sin(np.arange(10 * RATE) * 0.17)), {"no_speech", "too_little_speech"}),
    "8 kHz": (lambda: wav(down(speech()), 8_000), {"narrow_band"}),
    "two people in stereo": (lambda: wav(two_people()), {"channels_differ"}),
    "DC": (lambda: wav(np.full(10 * RATE, 0.5)), {"no_speech"}),
    "NaN": (lambda: float_wav(with_nan()), {"not_finite"}),
    "no samples": (lambda: wav(np.zeros(0)), {"audio_empty"}),
    "an hour": (an_hour, {"audio_too_long"}),
    "cut off": (lambda: wav(speech())[:-9_000], {"audio_truncated"}),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_recording_is_refused_by_name_with_advice_and_grants_nothing(person: Any, api: Any, name: str) -> None:
    make, reasons = BAD[name]
    owner = person()
    client, challenge = api(owner), passed_challenge(owner)
    announced = client.post("recordings", json={"challenge": str(challenge.id), "language": "en", "transcript": "Hm."})
    sent = client.put(f"recordings/{announced.json()['id']}/content", content=make())
    assert sent.status_code == 202
    tasks.examine_recording(sent.json()["examination"])
    found = client.get(f"examinations/{sent.json()['examination']}").json()
    assert found["state"] == "done"
    assert found["verdict"] in ("refuse", "inconclusive")
    assert found["reason"] in reasons
    assert found["advice"]["en"]
    assert found["advice"]["zh"]
    assert Recording.objects.get().state != "passed"
    assert not Consent.objects.exists()


LIVE = {
    "silence": (lambda: np.zeros(5 * RATE), {"no_speech"}),
    "DC": (lambda: np.full(5 * RATE, 0.5), {"no_speech"}),
    "one sample": (lambda: np.ones(1) * 0.1, {"no_speech", "too_little_speech"}),
    "other words": (lambda: said(TEXT), {"wrong_words"}),
}


@pytest.mark.parametrize("name", LIVE)
def test_a_bad_answer_is_refused_by_name_and_grants_nothing(person: Any, api: Any, name: str) -> None:
    make, reasons = LIVE[name]
    client = api(person())
    challenge = client.post("challenges").json()["id"]
    pcm = (make() * 32_767).astype("<i2").tobytes()
    for index, at in enumerate(range(0, len(pcm), 32_000)):
        move_forward(timedelta(seconds=1))
        assert client.put(f"challenges/{challenge}/chunks/{index}", content=pcm[at : at + 32_000]).status_code == 200
    found = client.post(f"challenges/{challenge}/answer").json()["examination"]
    tasks.examine_challenge(found)
    shown = client.get(f"examinations/{found}").json()
    assert (shown["state"], shown["verdict"] in ("refuse", "inconclusive")) == ("done", True)
    assert shown["reason"] in reasons
    assert shown["advice"]["zh"]
    refused = client.post("recordings", json={"challenge": challenge, "language": "en", "transcript": "x"})
    assert problem(refused) == (422, "challenge_not_passed")
    assert not Recording.objects.exists()


def test_a_file_cannot_answer_a_challenge(person: Any, api: Any) -> None:
    """Neither whole, nor in pieces as fast as they go."""
    client = api(person())
    challenge = client.post("challenges").json()["id"]
    move_forward(timedelta(seconds=8))
    assert problem(client.put(f"challenges/{challenge}/chunks/0", content=SECOND * 8)) == (413, "too_large")
    answers = [client.put(f"challenges/{challenge}/chunks/{index}", content=SECOND) for index in range(8)]
    first_no = next(answer for answer in answers if answer.status_code != 200)
    assert problem(first_no) == (429, "faster_than_live")
    assert first_no.headers["Retry-After"] == "1"


def test_a_late_and_a_broken_stream_are_refused_by_name(person: Any, api: Any) -> None:
    client = api(person())
    challenge = client.post("challenges").json()["id"]
    move_forward(timedelta(seconds=13))
    assert problem(client.put(f"challenges/{challenge}/chunks/0", content=SECOND)) == (410, "late_start")
    challenge = client.post("challenges").json()["id"]
    client.put(f"challenges/{challenge}/chunks/0", content=SECOND)
    move_forward(timedelta(seconds=13))
    assert problem(client.put(f"challenges/{challenge}/chunks/1", content=SECOND)) == (410, "stream_stalled")


def test_a_chunk_sent_twice_is_told_what_comes_next(person: Any, api: Any) -> None:
    client = api(person())
    challenge = client.post("challenges").json()["id"]
    client.put(f"challenges/{challenge}/chunks/0", content=SECOND)
    again = client.put(f"challenges/{challenge}/chunks/0", content=SECOND)
    assert problem(again) == (409, "chunk_out_of_order")
    assert again.json()["expected"] == 1
    assert CustodyItem.objects.get().parts.count() == 1


def test_a_clock_of_the_callers_own_is_not_asked(person: Any, api: Any) -> None:
    """Whatever time a client claims, in body or headers, the server's counts."""
    client = api(person())
    opened = client.post("challenges", json={"opened_at": "2020-01-01T00:00:00Z", "expires_at": "2099-01-01T00:00:00Z"})
    challenge = Challenge.objects.get(id=opened.json()["id"])
    assert (challenge.expires_at - challenge.opened_at).total_seconds() == 120
    move_forward(timedelta(seconds=121))
    late = client.put(f"challenges/{challenge.id}/chunks/0", content=SECOND, Date="Wed, 01 Jan 2020 00:00:00 GMT")
    assert problem(late) == (410, "challenge_expired")


def test_anothers_challenge_takes_neither_chunk_nor_answer(person: Any, api: Any) -> None:
    challenge = Challenge.objects.get(id=api(person()).post("challenges").json()["id"])
    stranger = api(person())
    before = Leaf.objects.count()
    for response in (
        stranger.put(f"challenges/{challenge.id}/chunks/0", content=SECOND),
        stranger.post(f"challenges/{challenge.id}/answer"),
        stranger.put(f"challenges/{uuid.uuid4()}/chunks/0", content=SECOND),
    ):
        assert problem(response) == (404, "not_found")
    assert (Leaf.objects.count(), CustodyItem.objects.count(), Examination.objects.count()) == (before, 0, 0)


# -- addresses --------------------------------------------------------------------------------------------------------


def test_the_address_is_what_the_connection_says(person: Any, api: Any) -> None:
    client = api(person())
    for claimed in ("192.0.2.1", "192.0.2.2"):
        client.post("challenges", X_Forwarded_For=claimed)
    assert len({one.address_hash for one in Challenge.objects.all()}) == 1


def test_behind_a_proxy_it_is_what_the_proxy_says_and_not_what_the_caller_claims(
    person: Any, api: Any, settings: Any
) -> None:
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    client = api(person())
    chains = ("192.0.2.1", "10.9.8.7, 192.0.2.1", "192.0.2.2")
    opened = [client.post("challenges", X_Forwarded_For=chain).json()["id"] for chain in chains]
    first, second, third = (Challenge.objects.get(id=one).address_hash for one in opened)
    assert first == second != third


def test_failures_of_several_people_pause_their_address(person: Any, api: Any) -> None:
    for _ in range(5):
        owner = person()
        challenge = api(owner).post("challenges").json()["id"]
        api(owner).put(f"challenges/{challenge}/chunks/0", content=SECOND)
        found = api(owner).post(f"challenges/{challenge}/answer").json()["examination"]
        decide(Examination.objects.get(id=found), "refuse", reason="wrong_words")
    assert problem(api(person()).post("challenges")) == (429, "pause_after_failures")


# -- a voice that resembles another -----------------------------------------------------------------------------------


def test_the_moderators_decision_moves_the_challenge_on_when_it_can_no_longer_be_undone(person: Any, api: Any) -> None:
    owner = person()
    challenge, found, case = held(owner)
    shown = api(owner).get(f"examinations/{found.id}").json()
    assert (shown["state"], shown["verdict"], shown["reason"]) == ("held", "", "moderator_looks")
    assert "singer" not in str(shown)
    assert problem(api(owner).get(f"cases/{case.id}")) == (403, "missing_scope")
    moderator = api(person("moderator"))
    assert moderator.get(f"cases/{case.id}").json()["matches"][0]["label"] == "A singer"
    moderator.post(f"cases/{case.id}/claim")
    decision = {"decision": "allow", "reason": "Two different people.", "clause": "voice.match"}
    assert moderator.post(f"cases/{case.id}/decide", json=decision).json()["ruling"]["decision"] == "allow"
    assert api(owner).get(f"examinations/{found.id}").json()["verdict"] == ""
    move_forward(timedelta(seconds=61))
    effects.settle_due()
    assert api(owner).get(f"examinations/{found.id}").json()["verdict"] == "pass"
    challenge.refresh_from_db()
    assert (challenge.state, Case.objects.get().state) == ("passed", "decided")
