"""Who follows a link to something refused reads a page that says what to do; a program reads the same as a problem."""

import re
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import pytest
from django.db import OperationalError, connection
from django.test import Client

from cloning.models import Output
from foundation.clock import move_forward
from tests.marketplace import factories as market
from tests.vouch.api.test_links import asked

pytestmark = pytest.mark.django_db
SOUND = b"RIFF and then the sound itself"
CHROMIUM = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8"
FIREFOX = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
PROGRAMS = (
    None, "*/*", "application/json", "audio/*", "audio/webm,audio/ogg,audio/wav,audio/*;q=0.9,*/*;q=0.5",
    "application/json, text/html;q=0.9", "application/problem+json, text/html", "text/html;q=0", "nonsense",
)  # fmt: skip
NOWHERE = "0e4f3c1a-5d0b-4c39-9d6f-6f2f5a1c7b10"


@pytest.fixture
def output(person: Any) -> Output:
    return market.preview_for(market.ready_voice(person()), SOUND, sha256="5e" * 32)


def opened(path: str, client: Client | None = None, accept: str | None = CHROMIUM, **headers: str) -> Any:
    return (client or Client()).get(path, headers={**headers, **({"Accept": accept} if accept else {})})


def read(answer: Any, status: int, code: str) -> str:
    """The page, which must be one, hold the code and the request's id, and be kept by no cache; never any sound."""
    assert answer.status_code == status
    assert answer["Content-Type"].startswith("text/html")
    assert answer["Cache-Control"] == "no-store"
    assert "Accept" in answer["Vary"].split(", ")
    assert "script-src 'self'" in answer["Content-Security-Policy"]
    assert SOUND not in answer.content
    page = str(answer.content.decode())
    assert f"<code>{code}</code>" in page
    assert f"<code>{answer['X-Request-Id']}</code>" in page
    return page


def test_an_ended_link_says_what_to_do_next_and_gives_no_sound(api: Any, output: Output) -> None:
    link = asked(api, output, "?seconds=60")
    assert b"".join(opened(link).streaming_content) == SOUND, "until then a browser gets the sound"
    move_forward(timedelta(seconds=361))
    for accept in (CHROMIUM, FIREFOX):
        page = read(opened(link, accept=accept), 410, "link_expired")
        assert "<h1>This link has ended</h1>" in page
        assert "Ask the person who sent it to you for a new one" in page
        assert 'href="/sign-in?next=%2Frecordings"' in page
    chinese = read(opened(link, **{"Accept-Language": "zh-CN,zh;q=0.9"}), 410, "link_expired")
    assert '<html lang="zh-hans">' in chinese
    assert "此链接已失效" in chinese
    assert "This link" not in chinese
    mine = Client()
    mine.force_login(output.requester)
    page = read(opened(link, mine), 410, "link_expired")
    assert re.search(r'class="button" href="/recordings"', page)
    assert Client().head(link, headers={"Accept": CHROMIUM}).status_code == 410


@pytest.mark.parametrize("accept", PROGRAMS)
def test_a_program_gets_the_problem_with_its_code(api: Any, output: Output, accept: str | None) -> None:
    link = asked(api, output, "?seconds=60")
    for path, status, code in (
        (link + "x", 403, "link_invalid"), (f"/api/v1/outputs/{output.id}/audio", 401, "not_signed_in"),
        ("/api/v1/nothing-here", 404, "not_found"),
    ):  # fmt: skip
        answer = opened(path, accept=accept)
        assert (answer.status_code, answer["Content-Type"]) == (status, "application/problem+json")
        assert answer.json()["code"] == code
        assert answer["Cache-Control"] == "no-store"
        assert SOUND not in answer.content


def test_a_forged_link_and_a_withdrawn_recording_have_pages_of_their_own(api: Any, output: Output) -> None:
    link = asked(api, output)
    assert "This link is not whole" in read(opened(link[:-1]), 403, "link_invalid")
    Output.objects.filter(id=output.id).update(state="revoked")
    page = read(opened(link), 410, "output_revoked")
    assert "This recording was withdrawn" in page
    assert 'href="/trace"' in page


def test_who_is_not_signed_in_is_led_there_and_back_and_a_stranger_learns_nothing(output: Output, person: Any) -> None:
    path = f"/api/v1/outputs/{output.id}/audio"
    page = read(opened(path), 401, "not_signed_in")
    assert f'href="/sign-in?next={quote(path, safe="")}"' in page
    stranger = Client()
    stranger.force_login(person())
    foreign, unknown = opened(path, stranger), opened(f"/api/v1/outputs/{NOWHERE}/audio", stranger)
    said = [read(one, 404, "not_found").replace(one["X-Request-Id"], "") for one in (foreign, unknown)]
    token = re.compile(r'(name="csrf" content|name="csrfmiddlewaretoken" value)="[^"]+"')
    alike = [token.sub("", one).replace(str(output.id), NOWHERE) for one in said]
    assert alike[0] == alike[1]
    auditor = Client()
    auditor.force_login(person("auditor"))
    read(opened(path, auditor), 403, "missing_scope")


def test_too_often_says_how_long_to_wait(settings: Any) -> None:
    settings.VOUCH_RATE_ANONYMOUS = 1
    path, somebody = f"/api/v1/linked/{NOWHERE}", Client(REMOTE_ADDR="203.0.113.7")
    read(opened(path, somebody), 403, "link_invalid")
    answer = opened(path, somebody)
    page = read(answer, 429, "too_many")
    assert f"Wait {answer['Retry-After']} seconds." in page


def test_an_address_for_programs_says_so(person: Any) -> None:
    member = Client()
    member.force_login(person())
    for path in ("/api/v1/batches/preview", "/api/v1/outputs?limit=x"):
        answer = opened(path, member)
        page = read(answer, answer.status_code, answer.context["code"] if answer.context else "")
        assert "This address is for programs" in page
        assert 'href="/api/v1/docs"' in page
    # A page of ours that is only sent to, never opened: typed in, or reloaded from the history.
    for path in ("/sign-out", "/me/sessions/x/end"):
        answer = opened(path, member)
        assert answer.status_code == 405
        assert "This address is for programs" in answer.content.decode()
        assert opened(path, member, accept="*/*").content == b""


def test_the_database_away_still_gives_a_page(person: Any) -> None:
    def away(*_: Any) -> None:
        raise OperationalError("the server closed the connection unexpectedly")

    member, path = Client(), f"/api/v1/outputs/{NOWHERE}/audio"
    member.force_login(person())
    with connection.execute_wrapper(away):
        page = read(opened(path, member), 503, "unavailable")
        assert "Just a moment" in page
        assert "Sign out" not in page, "whose session it is cannot be asked now"
        assert opened(path, member, accept="*/*").json()["code"] == "unavailable"


def test_what_changes_something_is_answered_as_to_a_program(person: Any) -> None:
    member = Client()
    member.force_login(person())
    answer = member.post("/api/v1/speech", b"{", "application/json", headers={"Accept": CHROMIUM})
    assert answer["Content-Type"] == "application/problem+json"
