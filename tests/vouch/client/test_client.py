"""The Python client against the real API, in-process: one set of operations, two drivers."""

import asyncio
import io
import re
import typing
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import soundfile
from django.core.handlers.wsgi import WSGIHandler

import vouch
from cloning.masks.models import VoiceMask
from cloning.models import Job, Output, SpeechRequest, Voice
from tests.cloning import factories as make
from tests.cloning.streamed import Script
from vouch.client import AsyncVouch, Mask, Problem, TookTooLong, Unreachable, Vouch, operations

pytestmark = pytest.mark.django_db(transaction=True)
HERE = "http://testserver"


class InThread(httpx.AsyncBaseTransport):
    """The WSGI application for an event loop."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await request.aread()
        return await asyncio.to_thread(self._answer, request)

    @staticmethod
    def _answer(request: httpx.Request) -> httpx.Response:
        from django.db import connection

        try:
            response = httpx.WSGITransport(WSGIHandler()).handle_request(request)
            return httpx.Response(response.status_code, headers=response.headers, content=response.read())
        finally:
            connection.close()


def client(key: str | None = None) -> Vouch:
    return Vouch(HERE, key, transport=httpx.WSGITransport(WSGIHandler()))


@pytest.fixture
def voice(person: Any) -> Voice:
    owner = person()
    return make.voice(owner, make.consent(owner))


@pytest.fixture
def key(api: Any, voice: Voice) -> str:
    return str(api(voice.owner).headers["Authorization"].removeprefix("Bearer "))


def test_a_recording_is_made_saved_and_traced(key: str, voice: Voice, worker: None, tmp_path: Path) -> None:
    with client(key) as vouch:
        made = vouch.speak(voice.name.lower(), make.TEXT, container="wav", seed=3, manner={"speed": 1.2})
        output = Output.objects.get()
        assert (made.id, made.media_type, made.label_seconds) == (str(output.id), "audio/wav", output.label_seconds)
        assert (output.request.seed, output.request.manner) == (3, {"speed": 1.2})
        found = vouch.trace(made.save(tmp_path / "said.wav").read_bytes())
        assert (found.verdict, [hit.output for hit in found.hits]) == ("ours", [made.id])
        assert vouch.download(made.id) == made


def test_an_event_loop_gets_the_same(key: str, voice: Voice, worker: None) -> None:
    async def both() -> tuple[str, list[str]]:
        async with AsyncVouch(HERE, key, transport=InThread()) as vouch:
            made = await vouch.speak(str(voice.id), make.TEXT, language="en")
            return made.id, [one.name for one in await vouch.voices()]

    assert asyncio.run(both()) == (str(Output.objects.get().id), [voice.name])


def test_a_list_is_gone_through_page_by_page(key: str, voice: Voice, api: Any) -> None:
    for _ in range(2):
        api(voice.owner)
    with client(key) as vouch:
        whole = [row["id"] for row in vouch.each("keys")]
        assert len(whole) == 3
        assert [row["id"] for row in vouch.each("keys", limit=1)] == whole
        assert [row["id"] for row in vouch.run(operations.every("keys"))] == whole
        pages = vouch.each("keys", limit=2)
        next(pages)  # the second page is not asked for yet
        assert len(list(pages)) == 2

    async def looped() -> list[str]:
        async with AsyncVouch(HERE, key, transport=InThread()) as other:
            return [row["id"] async for row in other.each("keys", limit=2)]

    assert asyncio.run(looped()) == whole


def test_a_stream_is_heard_as_it_is_made_by_both_drivers(key: str, voice: Voice, streamer: Script) -> None:
    with client(key) as vouch:
        with vouch.stream(voice.name, make.TEXT, container="mp3") as stream:
            heard = b"".join(stream)
        assert (stream.media_type, stream.label[:10]) == ("audio/mpeg", "This audio")
        assert heard[-1_000:] in vouch.download(stream.output).data
        with pytest.raises(Problem) as refused:
            vouch.stream(voice.name, "...")
        assert (refused.value.status, refused.value.code) == (422, "text_invalid")
        streamer.between = lambda _: 1 / 0
        with pytest.raises(Problem) as broken, vouch.stream(voice.name, make.TEXT) as stream:
            list(stream)
        assert broken.value.code == "internal_error"
        streamer.between = lambda _: None

    async def again() -> tuple[str, bytes]:
        async with (
            AsyncVouch(HERE, key, transport=InThread()) as vouch,
            await vouch.stream(voice.name, make.TEXT) as stream,
        ):
            return stream.output, b"".join([piece async for piece in stream])

    output, sound = asyncio.run(again())
    assert sound[:4] == b"RIFF"
    assert Output.objects.filter(id=output).exists()


def test_a_link_a_proof_and_a_mask(person: Any, api: Any, worker: None) -> None:
    owner = person()
    voice = make.voice(owner, make.consent(owner, uses={"own_use": True, "voice_mask": True}))
    key = api(owner).headers["Authorization"].removeprefix("Bearer ")
    with client(key) as vouch:
        made = vouch.speak(voice.name, make.TEXT, container="wav")
        link = vouch.link(made.id, seconds=60)
        answer = httpx.Client(transport=httpx.WSGITransport(WSGIHandler())).get(link.url)
        assert (answer.content, answer.headers["X-Vouch-AI-Generated"]) == (made.data, "true")
        assert vouch.proof(made.id)["provenance"]["statement"]["sha256"] == made.sha256
        with pytest.raises(TookTooLong):
            vouch.mask(voice.name, "Stage", seconds=0)
        assert VoiceMask.objects.get().name == "Stage"
        shown = Mask.of(vouch.run(operations.every(f"voices/{voice.id}/masks"))[0])
        assert (shown.name, shown.state, shown.likeness) == ("Stage", "making", None)
        Job.objects.filter(kind="mask").update(state="failed", error_code="mask_not_found")
        VoiceMask.objects.update(state="failed")
        ready = Mask.of(vouch.run(operations.fetch(f"masks/{make.mask(voice).id}")))
        assert ready.state == "ready"
        assert ready.likeness is not None
        assert ready.limit is not None
        assert ready.likeness < ready.limit


def test_a_licences_voice_goes_by_its_name_too(person: Any, api: Any, voice: Voice, worker: None) -> None:
    licensee = person()
    make.licence(voice.consent, licensee)
    key = api(licensee).headers["Authorization"].removeprefix("Bearer ")
    with client(key) as vouch:
        assert (vouch.voices(), [one.name for one in vouch.usable_voices()]) == ([], [voice.name])
        assert vouch.run(operations.fetch("voices/usable"))[0]["mine"] is False
        made = vouch.speak(voice.name, make.TEXT)
        assert Output.objects.get(id=made.id).licence is not None
        Voice.objects.update(state="failed")
        with pytest.raises(Problem, match="not_found"):
            vouch.speak(str(voice.id), make.TEXT)
    own = api(voice.owner).headers["Authorization"].removeprefix("Bearer ")
    with client(own) as vouch, pytest.raises(Problem, match="voice_not_ready"):
        vouch.speak(str(voice.id), make.TEXT)


def test_the_package_says_that_it_is_typed() -> None:
    assert (Path(vouch.__file__).parent / "py.typed").is_file()
    hints = typing.get_type_hints(operations.link)
    assert "Link" in str(hints["return"])


def test_both_drivers_have_every_operation() -> None:
    own = {
        name for name, thing in vars(operations).items()
        if getattr(thing, "__module__", "") == operations.__name__ and not name.startswith("_")
    }  # fmt: skip
    for driver in (Vouch, AsyncVouch):
        assert own - set(vars(driver)) == {"voice_named", "examined", "to_stream"}


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"text": "..."}, "text_invalid"),
        ({"text": "Grandma, I had an accident, please send the money today."}, "held"),
        ({"text": "Hello.", "manner": {"speed": 9}}, "manner_invalid"),
        ({"text": "Hello.", "voice": "Nobody"}, "not_found"),
        ({"text": "Hello.", "container": "mod"}, "invalid_fields"),
    ],
)
def test_what_the_platform_refuses_has_its_code(key: str, voice: Voice, asked: dict[str, Any], code: str) -> None:
    with client(key) as vouch, pytest.raises(Problem) as refused:
        vouch.speak(asked.pop("voice", voice.name), **asked)
    assert refused.value.code == code
    assert not Output.objects.exists()


def test_without_a_key_only_tracing_is_possible(voice: Voice, worker: None) -> None:
    sound = io.BytesIO()
    soundfile.write(sound, 0.1 * np.random.default_rng(1).standard_normal(48_000), 16_000, format="WAV")
    with client() as vouch:
        assert vouch.trace(sound.getvalue()).hits == ()
        with pytest.raises(Problem) as refused:
            vouch.speak(str(voice.id), make.TEXT, language="en")
    assert (refused.value.status, refused.value.code) == (401, "not_signed_in")
    assert not SpeechRequest.objects.exists()


def test_what_is_still_going_on_when_time_is_up_is_said(key: str, voice: Voice) -> None:
    with client(key) as vouch, pytest.raises(TookTooLong, match="queued"):
        vouch.speak(voice.name, make.TEXT, seconds=0.0)


def test_the_examples_in_the_docs_run(
    key: str, voice: Voice, worker: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocks = re.findall(r"```python\n(.*?)```", Path("docs/api.md").read_text(), re.DOTALL)
    ours = [block for block in blocks if "vouch.client" in block]
    assert ours
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("vouch.client.Vouch", lambda address, key: client(key))
    Voice.objects.update(name="Sam")
    for block in ours:
        exec(compile(block.replace("vk_…", key), "docs/api.md", "exec"), {})  # noqa: S102 - our own page
    assert (tmp_path / "morning.mp3").stat().st_size > 1_000


# -- the network ------------------------------------------------------------------------------------------------------


class Flaky:
    """Fails ``times`` times in one way, then answers."""

    def __init__(self, times: int, failure: httpx.Response | Exception) -> None:
        self.left, self.failure = times, failure
        self.seen: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.seen.append(request)
        if not self.left:
            return httpx.Response(200, json=[])
        self.left -= 1
        if isinstance(self.failure, Exception):
            raise self.failure
        return self.failure


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    slept: list[float] = []
    monkeypatch.setattr("vouch.client.drivers.time.sleep", slept.append)
    return slept


def over(flaky: Flaky, **more: Any) -> Vouch:
    return Vouch(HERE, "vk_x", transport=httpx.MockTransport(flaky), **more)


def test_a_lost_connection_and_a_busy_server_are_tried_again(waits: list[float]) -> None:
    assert over(Flaky(2, httpx.ConnectError("gone"))).voices() == []
    assert over(Flaky(1, httpx.Response(429, headers={"Retry-After": "7"}))).voices() == []
    assert waits == [0.5, 1.0, 7.0]


def test_what_an_earlier_sending_is_still_answered_for_is_waited_for(waits: list[float]) -> None:
    running = httpx.Response(409, json={"code": "idempotency_in_progress"}, headers={"Retry-After": "1"})
    kept = Flaky(2, running)
    over(kept).withdraw("consent")
    assert (len(kept.seen), waits) == (3, [1.0, 1.0])
    other = Flaky(1, httpx.Response(409, json={"code": "consent_ended"}))
    with pytest.raises(Problem, match="consent_ended"):
        over(other).withdraw("consent")
    assert len(other.seen) == 1


def test_a_server_that_asks_for_too_long_a_wait_is_left(waits: list[float]) -> None:
    with pytest.raises(Problem) as left:
        over(Flaky(9, httpx.Response(503, headers={"Retry-After": "300"}))).voices()
    assert (left.value.status, waits) == (503, [])
    with pytest.raises(Unreachable, match="voices"):
        over(Flaky(99, httpx.ConnectError("gone")), patience=3.0).voices()


def test_what_may_not_happen_twice_is_sent_once_unless_it_has_a_key(waits: list[float]) -> None:
    lost = Flaky(1, httpx.ReadTimeout("slow"))
    with pytest.raises(Unreachable):
        over(lost).open_challenge()
    assert len(lost.seen) == 1
    kept = Flaky(1, httpx.ReadTimeout("slow"))
    over(kept).consent("challenge", [], text_version="en-1", uses={}, biometric_release=True)
    assert len(kept.seen) == 2
    assert len({request.headers["Idempotency-Key"] for request in kept.seen}) == 1


def test_a_proxys_page_is_a_problem_too(waits: list[float]) -> None:
    with pytest.raises(Problem) as found:
        over(Flaky(99, httpx.Response(502, text="<html>Bad gateway")), patience=3.0).voices()
    assert (found.value.status, found.value.code, len(waits) > 1) == (502, "unknown", True)
    assert over(Flaky(1, httpx.Response(504))).voices() == []
