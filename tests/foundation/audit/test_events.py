"""What each kind of event has to state: the quick check against `jsonschema` reading the published schemas."""

import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foundation.audit import canonical, events
from tests.foundation.audit.factories import EXAMPLES, example

ROOT = Path(__file__).resolve().parents[3]
ROOMS = ("cloning", "consent", "safety", "watermark", "retention", "platform")
TABLE = ROOT / "platform/foundation/audit/events.py"
HEAD = {
    "v": 2, "kind": "clock.moved", "subject": "s:1", "actor": "system:t", "rehearsal": False,
    "at": "2026-01-01T00:00:00.000000+00:00", "data": {"offset_seconds": 1},
}  # fmt: skip
CHECKERS = {
    (kind, int(version)): jsonschema.Draft202012Validator(schema)
    for kind, versions in events.schemas().items()
    for version, schema in versions.items()
}


def test_every_schema_is_one_and_can_stand_in_a_bundle() -> None:
    for checker in CHECKERS.values():
        jsonschema.Draft202012Validator.check_schema(checker.schema)
    assert canonical.decode(canonical.encode(events.schemas())) == events.schemas()


@pytest.mark.parametrize(("kind", "version"), CHECKERS, ids=str)
def test_the_quick_check_agrees_with_the_schema_for_every_field_and_value(kind: str, version: int) -> None:
    event = events.EVENTS[kind]
    fields = event.versions[version - 1]
    good = example(kind, version)
    head = {**HEAD, "v": version, "kind": kind}
    assert agree({**head, "data": good}) is True
    # What the latest version does not name is refused; earlier ones were not so strict.
    assert agree({**head, "data": {**good, "more": [1]}}) is (version < event.version)
    for name, field in fields.items():
        without = {key: value for key, value in good.items() if key != name}
        assert agree({**head, "data": without}) is not field.needed
        for value in EXAMPLES:
            agree({**head, "data": {**good, name: value}})


@pytest.mark.parametrize(
    "change",
    [
        {"v": 0}, {"v": 3}, {"v": True}, {"v": "1"}, {"kind": "clock.stopped"}, {"kind": 3}, {"subject": ""},
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
    old = {**HEAD, "kind": "clearance.refused", "v": 1, "data": {}}
    assert events.conforms(canonical.encode(old))
    assert not events.conforms(canonical.encode({**old, "v": 2}))
    assert events.EVENTS["clearance.refused"].version == 3
    stated = example("clearance.refused")
    del stated["code"]
    assert events.missing("clearance.refused", stated) == ["code"]
    assert events.unknown("clearance.refused", {**stated, "note": 1}) == ["note"]


def test_every_kind_has_something_to_state() -> None:
    for kind, event in events.EVENTS.items():
        assert [name for name, field in event.versions[-1].items() if field.needed], kind


def test_every_kind_that_is_written_anywhere_is_in_the_table() -> None:
    """Kinds are words in the code of the rooms; `log` refuses the others when they run."""
    text = "".join(path.read_text() for room in ROOMS for path in (ROOT / room).rglob("*.py") if path != TABLE)
    called = set(re.findall(r'(?:kind=|_leaf\(\s*|_record\(hold, |_log\(order, |_log_yes\()"([a-z_]+\.[a-z_]+)"', text))
    assert len(called) > 40
    assert called <= events.EVENTS.keys()


def agree(body: dict[str, Any]) -> bool:
    """What both say of a body. An unknown kind or version has no schema: no event."""
    quick = events.conforms(canonical.encode(body))
    kind, version = body["kind"], body["v"]
    checker = CHECKERS.get((kind, version)) if isinstance(kind, str) and type(version) is int else None
    assert quick is (checker is not None and checker.is_valid(body))
    return quick
