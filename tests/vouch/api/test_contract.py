"""schemathesis over every operation: no 5xx, no status and no type that is not documented, answers as the schema says.

As nobody, as a member who owns things, and as a moderator. Ids in addresses are often of things that are there.
"""

import functools
import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import schemathesis
from django.core.handlers.wsgi import WSGIHandler
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.core.failures import Failure, FailureGroup
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from cloning.models import Job
from marketplace.hooks.models import Delivery
from marketplace.models import Listing, Order
from safety.desk_models import Appeal, Notice
from safety.models import Case, Restriction
from tests.consent import factories
from tests.vouch.api.test_lists import House
from vouch import problems


def nothing_breaks(ctx: Any, response: Any, case: Any) -> None:
    """No 5xx but what a deployment says of itself."""
    if response.status_code >= 500:
        said = response.json()
        code = said.get("code") or said["error"]["code"]
        assert (response.status_code, code in SAID) == (503, True), f"{case.method} {case.path}: {said}"


@functools.cache
def known() -> dict[str, tuple[int, ...]]:
    """The table of codes in docs/api.md, and the statuses that it gives them."""
    return {one.code: one.statuses for one in problems.catalogue()}


def code_is_in_the_table(ctx: Any, response: Any, case: Any) -> None:
    """Programs rely on codes: each that comes stands in the table, with the status it came with."""
    if response.status_code >= 400:
        said = response.json()
        code = said["error"]["code"] if "error" in said else said["code"]
        assert response.status_code in known().get(code, ()), (
            f"{case.method} {case.path}: {response.status_code} {code}"
        )


CHECKS = [
    nothing_breaks,
    code_is_in_the_table, status_code_conformance, content_type_conformance, response_schema_conformance,
    response_headers_conformance,
]  # fmt: skip
SAID = ("payments_off", "still_speaking")
"""503 with one of these is no breakage: the tests' deployment takes no payments, and nobody speaks in it."""
QUIET = list(HealthCheck)
OFTEN = 0.7
"""Of the ids in addresses, those that are of something that is there."""


@pytest.fixture
def wide_doors(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nobody is told "too often" here, and nothing waits: what lies behind is to be seen."""
    for name in ("KEY", "PERSON", "ADDRESS", "ANONYMOUS"):
        setattr(settings, f"VOUCH_RATE_{name}", 1_000_000)
    settings.ALLOWED_HOSTS = ["*"]
    monkeypatch.setattr("vouch.api.core.throttling.door", lambda request, name, most: _wide(name))
    monkeypatch.setattr("vouch.api.jobs.LONGEST_SECONDS", 0.0)
    monkeypatch.setattr("vouch.api.compat.waiting.LONGEST_WAIT", 0.0)
    # The application answers in this thread, inside the test's transaction: its connection stays.
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


def _wide(name: str) -> Any:
    from vouch.api.core.throttling import Window

    return Window(name, "contract", 1_000_000)


def places(house: House) -> dict[str, list[str]]:
    """Ids of things that are there, by the name they have in addresses."""

    def ids(rows: Any) -> list[str]:
        return [str(one) for one in rows.values_list("pk", flat=True)]

    owner = house.owner
    return {
        "voice_id": ids(owner.voices), "consent_id": [str(factories.consent(owner).id)], "job_id": ids(Job.objects),
        "output_id": [str(voice_output) for voice_output in owner.voices.values_list("outputs", flat=True)],
        "licence_id": [str(house.licence.id)], "webhook_id": [str(house.hook.id)], "person_id": [str(owner.id)],
        "listing_id": ids(Listing.objects), "order_id": ids(Order.objects), "case_id": ids(Case.objects),
        "restriction_id": ids(Restriction.objects), "delivery_id": ids(Delivery.objects),
        "appeal_id": ids(Appeal.objects), "notice_id": ids(Notice.objects), "key_id": ids(owner.api_keys),
        "number": ["1"], "index": ["0"], "mask_id": [str(house.mask.id)],
    }  # fmt: skip


def explore(
    house: House, keys: dict[str, dict[str, str]], examples: int, chosen: Callable[[str, str], list[str]]
) -> int:
    """Every operation with so many examples as each role that ``chosen`` names for it. How many calls were made."""
    schema = schemathesis.openapi.from_wsgi("/api/v1/schema", WSGIHandler())
    there, calls, broken = places(house), 0, []

    def checked(headers: dict[str, str], case: Any) -> None:
        nonlocal calls
        calls += 1
        for name in case.path_parameters or {}:
            if there.get(name) and random.Random(calls).random() < OFTEN:
                case.path_parameters[name] = there[name][calls % len(there[name])]
        case.headers.pop("Authorization", None)
        case.call_and_validate(headers=headers, checks=CHECKS)

    for found in schema.get_all_operations():
        operation = found.ok()
        for role in chosen(operation.method, operation.path):
            try:
                _examples(operation, functools.partial(checked, keys[role]), examples)
            except (FailureGroup, Failure, AssertionError) as error:
                broken.append(f"as {role}: {error}")
    assert not broken, "\n".join(broken)
    return calls


def _examples(operation: Any, check: Callable[[Any], None], examples: int) -> None:
    @settings(
        max_examples=examples, database=None, derandomize=True, phases=[Phase.generate], deadline=None,
        suppress_health_check=QUIET, report_multiple_bugs=False,
    )  # fmt: skip
    @given(case=operation.as_strategy())
    def once(case: Any) -> None:
        check(case)

    once()


def prepared(person: Any, api: Any) -> tuple[House, dict[str, dict[str, str]]]:
    house = House(person)
    house.more()
    return house, {
        "nobody": {},
        "member": api(house.owner).headers,
        "moderator": api(person(role="moderator")).headers,
        "operator": api(person(role="operator")).headers,
    }


@pytest.mark.django_db
def test_every_operation_keeps_its_word(person: Any, api: Any, wide_doors: None) -> None:
    house, keys = prepared(person, api)
    roles = ["member", "moderator", "nobody"]

    @functools.cache
    def turn(method: str, path: str) -> list[str]:
        # Each operation as a member, whose things are there, and every other one as somebody else.
        return ["member", *roles[1 + len(path) % 4 : 2 + len(path) % 4]]

    assert explore(house, keys, 1, turn) > 240


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.django_db
def test_every_operation_keeps_its_word_at_length(person: Any, api: Any, wide_doors: None) -> None:
    house, keys = prepared(person, api)
    assert explore(house, keys, 25, lambda method, path: list(keys)) > 10_000
