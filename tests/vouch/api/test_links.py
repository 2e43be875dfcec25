"""Links to recordings: for a while, for one recording, and never past a revocation."""

from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.test import Client

from cloning.models import Output
from foundation.clock import move_forward
from foundation.identity.actors import Actor
from safety.services import restrict
from tests.marketplace import factories as market

pytestmark = pytest.mark.django_db
SOUND = bytes(range(256)) * 4


@pytest.fixture
def output(person: Any) -> Output:
    return market.preview_for(market.ready_voice(person()), SOUND, sha256="5e" * 32)


def asked(api: Any, output: Output, query: str = "") -> str:
    answer = api(output.requester).get(f"outputs/{output.id}/link{query}")
    assert answer.status_code == 200, answer.content
    assert answer["Cache-Control"] == "no-store"
    parts = urlsplit(answer.json()["url"])
    assert parts.hostname == "testserver"
    return f"{parts.path}?{parts.query}"


def code(answer: Any) -> tuple[int, str]:
    assert answer["Cache-Control"] == "no-store", "a refusal must not be kept by a cache"
    return answer.status_code, answer.json()["code"]


def test_a_link_gives_the_recording_to_whoever_has_it_as_a_cache_wants_it(api: Any, output: Output) -> None:
    link, anybody = asked(api, output), Client()
    assert link == asked(api, output), "asked twice, it is one address"
    whole = anybody.get(link)
    assert (whole.status_code, b"".join(whole.streaming_content)) == (200, SOUND)
    assert whole["Cache-Control"] == "public, max-age=60, no-transform"
    assert not {"Set-Cookie", "Vary"} & set(whole.headers), "what varies or sets a cookie is kept by no cache"
    assert whole["Access-Control-Allow-Origin"] == "*"
    assert [whole[f"X-Vouch-{name}"] for name in ("AI-Generated", "Label-Seconds", "State", "Output")] == [
        "true", "0.500", "live", str(output.id),
    ]  # fmt: skip
    readable = whole["Access-Control-Expose-Headers"].split(", ")
    assert {name for name in whole.headers if name.startswith("X-Vouch-")} <= set(readable)
    assert {"ETag", "Content-Range"} <= set(readable)
    part = anybody.get(link, headers={"Range": "bytes=250-259"})
    assert (part.status_code, b"".join(part.streaming_content)) == (206, SOUND[250:260])
    assert part["Content-Range"] == "bytes 250-259/1024"
    assert anybody.get(link, headers={"If-None-Match": whole["ETag"]}).status_code == 304
    assert anybody.head(link)["Content-Length"] == "1024"
    assert code(anybody.get(link, headers={"Range": "bytes=9999-"})) == (416, "range_not_satisfiable")
    # A session or a key changes nothing of it: it is the link that opens.
    assert anybody.get(link, headers={"Authorization": "Bearer vk_wrong_wrong"}).status_code == 200


def test_a_link_ends_and_says_so(api: Any, output: Output) -> None:
    link = asked(api, output, "?seconds=60")
    move_forward(timedelta(seconds=59))
    near = Client().get(link)
    assert near.status_code == 200
    move_forward(timedelta(seconds=302))
    assert code(Client().get(link)) == (410, "link_expired")
    assert "new one" in Client().get(link).json()["advice"]


def test_a_cache_keeps_nothing_past_the_end(api: Any, output: Output) -> None:
    link = asked(api, output, "?seconds=60")
    until = int(link.partition("until=")[2].partition("&")[0])
    from foundation.clock import now

    move_forward(timedelta(seconds=until - int(now().timestamp()) - 20))
    age = int(Client().get(link)["Cache-Control"].partition("max-age=")[2].partition(",")[0])
    assert 0 < age <= 20


def test_a_changed_link_opens_nothing(api: Any, output: Output) -> None:
    link = asked(api, output)
    until = link.partition("until=")[2].partition("&")[0]
    other = market.preview_for(output.voice, b"other")
    for changed in (
        link.replace(until, str(int(until) + 300)), link.replace(str(output.id), str(other.id)), link[:-1],
        link + "x", link.partition("&")[0], link.partition("?")[0], link.replace("until=", "until=-"),
        link.replace(until, "²"), link.replace(until, "9" * 400), link.replace("signature=", "signature=%F0%9F%98%80:"),
    ):  # fmt: skip
        assert code(Client().get(changed)) == (403, "link_invalid"), changed


def test_a_former_secret_counts_until_it_is_gone(api: Any, output: Output, settings: Any) -> None:
    link = asked(api, output)
    former, settings.SECRET_KEY = settings.SECRET_KEY, "another secret altogether, long enough"
    assert code(Client().get(link)) == (403, "link_invalid")
    settings.SECRET_KEY_FALLBACKS = [former]
    assert Client().get(link).status_code == 200
    settings.SECRET_KEY_FALLBACKS = []
    assert code(Client().get(link)) == (403, "link_invalid")


def test_what_was_withdrawn_is_gone_whatever_its_link_says(api: Any, output: Output, person: Any) -> None:
    link = asked(api, output)
    restrict(
        actor=Actor.of(person(role="moderator")), subject_kind="output", subject_ref=str(output.id),
        effect="quarantine", reason="reported", clause="policy.abuse",
    )  # fmt: skip
    assert code(Client().get(link)) == (410, "output_revoked")
    refused = api(output.requester).get(f"outputs/{output.id}/link")
    assert (refused.status_code, refused.json()["code"]) == (410, "output_revoked")
    other = market.preview_for(output.voice, b"other", requester=output.requester)
    another = asked(api, other)
    Output.objects.filter(id=other.id).update(state="relabelled")
    assert Client().get(another)["X-Vouch-State"] == "relabelled"
    Output.objects.filter(id=other.id).update(state="revoked")
    assert code(Client().get(another)) == (410, "output_revoked")


def test_nobody_else_gets_a_link(api: Any, output: Output, person: Any) -> None:
    for who, status in ((None, 401), (person(), 404), (person(role="moderator"), 404)):
        assert api(who).get(f"outputs/{output.id}/link").status_code == status
    assert api(output.requester, scopes=["voice:read"]).get(f"outputs/{output.id}/link").status_code == 403
    for seconds in ("59", "604801", "x"):
        answer = api(output.requester).get(f"outputs/{output.id}/link?seconds={seconds}")
        assert answer.json()["code"] == "invalid_fields"
