"""Who may not: every operation of the API, one by one, as nobody, with a key that lacks the scope, and as a stranger.

What is open to everybody, or to any key, stands here by name: an operation that is new and in neither list must refuse.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.test import Client
from django.urls import resolve

from tests.vouch.api.test_contract import places, wide_doors
from tests.vouch.api.test_lists import House

pytestmark = pytest.mark.django_db
__all__ = ["wide_doors"]

V1 = "/api/v1/"
NOTHING = "00000000-0000-4000-8000-000000000000"
PUBLIC = {
    "get consent-texts", "get licence-texts", "get linked/{output_id}", "get log/checkpoint", "get log/consistency",
    "get log/public-key", "post notices", "get notices/{notice_id}", "post notices/{notice_id}/pursue",
    "post payments/events/{provider}", "post people", "get provenance/keys", "get retention/schedule",
    "get status/{number}", "get status/{number}/refresh", "post trace", "get trace/{trace_id}",
    "get trace/{trace_id}/report", "get trace/{trace_id}/report.pdf", "post trace/uploads",
    "get trace/uploads/{upload_id}", "patch trace/uploads/{upload_id}", "post trace/uploads/{upload_id}",
}  # fmt: skip
"""Open to everybody, or to whoever holds a link, a token or a signature."""
ANY_KEY = {
    "get custody/overview", "get keys", "post keys", "delete keys/{key_id}", "post licences/{licence_id}/stop",
    "get log/leaves", "get log/leaves/{index}/receipt", "get log/leaves/{index}/receipt.cose",
    "get log/leaves/{index}/receipt.tlog-proof", "get me", "get orders/{order_id}", "post jobs/{job_id}/retry",
    "get second-factor", "post second-factor", "post second-factor/confirm", "post step-up", "post step-up/passkey",
    "post step-up/passkey/challenge",
}  # fmt: skip
"""Any key of a person's, or what the handler itself asks depends on the thing: tests of the rooms hold that."""
FOR_ALL = {
    "get listings/{listing_id}", "get listings/{listing_id}/preview", "post listings/{listing_id}/report",
    "get scripts/{language}",
}  # fmt: skip
"""What whoever has an account may see: the shop, and texts to read."""
_TERMS: dict[str, Any] = {
    "uses": {"own_use": True}, "languages": ["en"], "term_days": 30, "text_version": "x", "biometric_release": True,
}  # fmt: skip
_SAID: dict[str, Any] = {"language": "en", "transcript": "Said."}
BODIES: dict[str, dict[str, Any]] = {
    "post appeals/{appeal_id}/messages": {"text": "Why?"},
    "post approvals/{approval_id}/decide": {"decision": "approve"},
    "post consents/{consent_id}/renew": {**_TERMS, "challenge": NOTHING},
    "post listings/{listing_id}/preview": {"output": NOTHING},
    "post masks/{mask_id}/rename": {"name": "Mine"},
    "post offers/{offer_id}/counter": {"characters": 100, "days": 7},
    "post orders/{order_id}/pay/test": {"card": "4242"},
    "post orders/{order_id}/renewal": {"renews": False},
    "post orders/{order_id}/revenue": {"period": "2026-01", "revenue_minor": 1},
    "post recordings/{recording_id}/upload": {"sha256": "0" * 64},
    "post reviews/{review_id}/protection": {"recording": NOTHING},
    "post reviews/{review_id}/protection/recordings": _SAID,
    "post reviews/{review_id}/recordings": _SAID,
    "post statements-of-reasons/{statement_id}/appeal": {"text": "No."},
    "post statements-of-reasons/{statement_id}/counter-notice": {"text": "No.", "signature": "A. B."},
    "post trace/uploads/{upload_id}": {"sha256": "0" * 64},
    "post voices/{voice_id}/masks": {"name": "Mine"},
    "post voices/{voice_id}/speech/stream": {"text": "Hello.", "language": "en"},
}
"""Where fields are read before the thing is looked for: what is well-formed, so that who asks is what is refused."""


def operations() -> Iterator[tuple[str, str, str]]:
    """Name, method and path of each."""
    paths = yaml.load(Path("docs/openapi.yaml").read_text(), yaml.CSafeLoader)["paths"]
    for path, found in paths.items():
        for method in found.keys() & {"get", "post", "put", "patch", "delete"}:
            yield f"{method} {path.removeprefix(V1)}", method.upper(), path


def filled(path: str, there: dict[str, list[str]]) -> str:
    """The path with ids of things that are there."""
    return re.sub(r"\{(\w+)\}", lambda found: (there.get(found[1]) or [OTHERS.get(found[1], NOTHING)])[0], path)


OTHERS = {"number": "1", "index": "0", "provider": "stripe", "language": "en"}


def called(client: Any, method: str, path: str, body: str = "{}") -> Any:
    return client.client.generic(method, path, body, "application/json", headers=client.headers)


def test_nobody_gets_anything_but_what_is_public(api: Any, wide_doors: None) -> None:
    nobody, wrong = api(None), []
    for name, method, path in operations():
        answer = called(nobody, method, filled(path, {}))
        refused = answer.status_code == (403 if name == "get notices" else 401)  # its address is public, for POST
        if refused is (name in PUBLIC):
            wrong.append((name, answer.status_code))
    assert not wrong


def test_a_key_opens_what_its_scopes_say_and_head_is_no_way_round(person: Any, api: Any, wide_doors: None) -> None:
    narrow, checked, wrong = api(person(), scopes=[]), 0, []
    for name, method, path in operations():
        if name in PUBLIC | ANY_KEY:
            continue
        url = filled(path, {})
        assert resolve(url).func.view_class.scopes.get(method), f"{name} needs no scope"  # type: ignore[attr-defined]
        for way in (method, "HEAD") if method == "GET" else (method,):
            answer = called(narrow, way, url)
            checked += 1
            said = b"missing_scope" in answer.content if way != "HEAD" else answer.status_code == 403
            if not said and not (way == "HEAD" and answer.status_code == 405):
                wrong.append((way, name, answer.status_code))
    assert not wrong
    assert checked > 200


def test_a_stranger_gets_nothing_of_anybody_elses(person: Any, api: Any, wide_doors: None, settings: Any) -> None:
    settings.VOUCH_PAYMENTS = "test"
    house = House(person)
    house.more()
    there, stranger, checked, wrong = places(house), api(person()), 0, []
    for name, method, path in operations():
        if "{" not in path or name in PUBLIC | FOR_ALL:
            continue
        answer = called(stranger, method, filled(path, there), json.dumps(BODIES.get(name, {})))
        checked += 1
        if answer.status_code not in (403, 404):
            wrong.append((name, answer.status_code, answer.content))
    assert not wrong
    assert checked > 110


def test_a_session_writes_nothing_without_the_token_of_its_page(person: Any, wide_doors: None) -> None:
    """Another site's form would bring the session's cookie, and no CSRF token."""
    client, checked, wrong = Client(enforce_csrf_checks=True), 0, []
    client.force_login(person())
    for name, method, path in operations():
        if method == "GET" or name == "post payments/events/{provider}":  # signed, and no session's
            continue
        answer = client.generic(method, filled(path, {}), "{}", "application/json")
        checked += 1
        if answer.status_code not in (401, 403) or (b"CSRF" not in answer.content and answer.status_code == 403):
            wrong.append((name, answer.status_code, answer.content))
    assert not wrong
    assert checked > 100
