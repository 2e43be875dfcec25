"""What each kind of event has to state: the quick check against `jsonschema` reading the published schemas."""

from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foundation.audit import canonical, events

HEAD = {
    "v": 1, "kind": "clock.moved", "subject": "s:1", "actor": "system:t", "rehearsal": False,
    "at": "2026-01-01T00:00:00.000000+00:00", "data": {},
}  # fmt: skip
ID = "01234567-89ab-cdef-0123-456789abcdef"
CHECKERS = {
    (kind, int(version)): jsonschema.Draft202012Validator(schema)
    for kind, versions in events.schemas().items()
    for version, schema in versions.items()
}
EXAMPLES: tuple[Any, ...] = (
    "", "text", ID, ID.upper(), f"{ID}\n", "0" * 64, "0" * 63, "2026-01-01T00:00:00+00:00", "2026-01-01",
    0, 3, -1, 1.0, 1.5, -2.0, True, None, [], ["a"], [1], {}, {"a": 1},
)  # fmt: skip


def test_every_schema_is_one_and_can_stand_in_a_bundle() -> None:
    for checker in CHECKERS.values():
        jsonschema.Draft202012Validator.check_schema(checker.schema)
    assert canonical.decode(canonical.encode(events.schemas())) == events.schemas()


@pytest.mark.parametrize(("kind", "version"), CHECKERS, ids=str)
def test_the_quick_check_agrees_with_the_schema_for_every_field_and_value(kind: str, version: int) -> None:
    fields = events.EVENTS[kind].versions[version - 1]
    good = {name: next(value for value in EXAMPLES if field.holds(value)) for name, field in fields.items()}
    head = {**HEAD, "v": version, "kind": kind}
    assert agree({**head, "data": good}) is True
    assert agree({**head, "data": {**good, "more": [1]}}) is True
    for name in fields:
        assert agree({**head, "data": {key: value for key, value in good.items() if key != name}}) is False
        for value in EXAMPLES:
            agree({**head, "data": {**good, name: value}})


@pytest.mark.parametrize(
    "change",
    [
        {"v": 0}, {"v": 2}, {"v": True}, {"v": "1"}, {"kind": "clock.stopped"}, {"kind": 3}, {"subject": ""},
        {"subject": "x" * 201}, {"subject": None}, {"actor": "Ada"}, {"actor": 1}, {"at": "yesterday"},
        {"at": "2026-01-01T00:00:00+02:00"}, {"rehearsal": 0}, {"data": []}, {"extra": 1},
    ],
    ids=repr,
)  # fmt: skip
def test_a_bent_head_is_no_event(change: dict[str, Any]) -> None:
    assert events.conforms(canonical.encode(HEAD))
    assert agree({**HEAD, **change}) is False
    assert not events.conforms(b"[]")
    assert not events.conforms(canonical.encode(HEAD).replace(b":", b": ", 1))


@settings(max_examples=60)
@given(st.sampled_from(sorted(CHECKERS)), st.dictionaries(st.text(max_size=3), st.sampled_from(EXAMPLES), max_size=3))
def test_the_quick_check_agrees_with_the_schema_for_any_data(which: tuple[str, int], data: dict[str, Any]) -> None:
    agree({**HEAD, "kind": which[0], "v": which[1], "data": data})


def test_an_older_version_keeps_what_it_had_to_state_and_a_new_leaf_gets_the_latest() -> None:
    old = {**HEAD, "kind": "clearance.refused", "data": {}}
    assert events.conforms(canonical.encode(old))
    assert not events.conforms(canonical.encode({**old, "v": 2}))
    assert events.EVENTS["clearance.refused"].version == 2
    assert events.missing("clearance.refused", {"purpose": "speak"}) == ["code"]


def agree(body: dict[str, Any]) -> bool:
    """What both say of a body. An unknown kind or version has no schema: no event."""
    quick = events.conforms(canonical.encode(body))
    kind, version = body["kind"], body["v"]
    checker = CHECKERS.get((kind, version)) if isinstance(kind, str) and type(version) is int else None
    assert quick is (checker is not None and checker.is_valid(body))
    return quick
