"""Every kind of event the log knows, with its versions and what each has to state, as JSON Schema. Pure.

A kind that has to state more than before gets a new version; old leaves keep theirs and are checked by it. A kind that
is not here is refused, so the table is also the list an auditor reads to know what is recorded. An event may state
more than its schema names; it may never state less, or anything else under those names.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from foundation.audit import canonical

BODY: Final = frozenset({"v", "kind", "subject", "actor", "at", "rehearsal", "data"})
"""The keys of every leaf's body."""

MAX_SUBJECT: Final = 200
"""Characters of a subject such as ``consent:<uuid>``."""


@dataclass(frozen=True, slots=True)
class Field:
    """One value of an event's data: its JSON Schema, and the same as a test that costs little.

    A million leaves are checked by ``holds``; that it agrees with ``schema`` is tested against ``jsonschema``.
    """

    schema: Mapping[str, Any]
    holds: Callable[[Any], bool]


def _text(pattern: str | None = None) -> Field:
    if pattern is None:
        return Field({"type": "string"}, lambda value: isinstance(value, str))
    search = re.compile(pattern).search
    return Field({"type": "string", "pattern": pattern}, lambda value: isinstance(value, str) and bool(search(value)))


def _or_null(field: Field) -> Field:
    schema = {**field.schema, "type": [field.schema["type"], "null"]}
    return Field(schema, lambda value: value is None or field.holds(value))


def _is_whole(value: Any) -> bool:
    return (isinstance(value, int) and not isinstance(value, bool)) or (isinstance(value, float) and value.is_integer())


WORD: Final = _text()
ID: Final = _text("^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")
DIGEST: Final = _text("^[0-9a-f]{64}$")
TIME: Final = _text(r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{6})?\+00:00$")
WHOLE: Final = Field({"type": "integer"}, _is_whole)
COUNT: Final = Field({"type": "integer", "minimum": 0}, lambda value: _is_whole(value) and value >= 0)
NUMBER: Final = Field({"type": "number"}, lambda value: isinstance(value, int | float) and not isinstance(value, bool))
WORDS: Final = Field(
    {"type": "array", "items": {"type": "string"}},
    lambda value: isinstance(value, list) and all(isinstance(item, str) for item in value),
)
LIST: Final = Field({"type": "array"}, lambda value: isinstance(value, list))
MAP: Final = Field({"type": "object"}, lambda value: isinstance(value, dict))

_BY_TYPE: Final[Mapping[type, Field]] = MappingProxyType({str: WORD, int: WHOLE, float: NUMBER, list: LIST, dict: MAP})
_ACTOR: Final = _text("^(person|system):.{1,150}$")


@dataclass(frozen=True, slots=True)
class Event:
    """What each version of a kind has to state, oldest first; new leaves get the last."""

    versions: tuple[Mapping[str, Field], ...]

    @property
    def version(self) -> int:
        """The version that goes into a new leaf as ``v``."""
        return len(self.versions)


def _event(*former: Mapping[str, Field], **fields: Field | type) -> Event:
    """A kind that has to state ``fields``; ``former`` are its versions before, oldest first. ``str`` means any text."""
    latest = {name: _BY_TYPE[field] if isinstance(field, type) else field for name, field in fields.items()}
    return Event((*former, MappingProxyType(latest)))


NOTHING: Final[Mapping[str, Field]] = MappingProxyType({})
"""What the first version of many kinds had to state."""


EVENTS: Final[Mapping[str, Event]] = MappingProxyType(
    {
        # People and keys of programs
        "person.registered": _event(role=str),
        "person.erased": _event(erased=dict),
        "person.second_factor": _event(act=str),
        "key.api_issued": _event(key=str, scopes=list),
        "key.api_revoked": _event(key=str),
        "clock.moved": _event(),
        "clock.accepted": _event(reason=str, seconds_back=int),
        # Vault
        "key.created": _event(key_kind=str),
        "key.destroyed": _event(key_kind=str, reason=str),
        "key.erased": _event(key_kind=str, epoch_before=int, epoch_after=int, erased_at=str),
        "key.rotated": _event(key_kind=str, objects=int),
        "key.master_rotated": _event(keys=int, ring=str),
        "keystore.reconciled": _event(store_epoch=int, known_epoch=int, epoch=int, erased=int),
        "clearance.issued": _event(NOTHING, purpose=WORD, clearance=ID),
        "clearance.refused": _event(NOTHING, purpose=WORD, code=WORD),
        "clearance.used": _event(clearance=str, purpose=str, consent=str),
        # Custody of recordings
        "custody.received": _event(
            NOTHING, purpose=WORD, kind=WORD, key=ID, size=COUNT, received_at=TIME, deadline=TIME
        ),
        "custody.destroyed": _event(
            NOTHING, purpose=WORD, kind=WORD, key=ID, reason=WORD, received_at=TIME, deadline=TIME, destroyed_at=TIME
        ),
        "custody.overdue": _event(deadline=str, seconds=int),
        "clock.set_back": _event(seconds=int),
        "hold.requested": _event(hold=str, reason=str, expires_at=str),
        "hold.approved": _event(hold=str, reason=str, expires_at=str),
        "hold.ended": _event(hold=str, ended=str),
        # Consent
        "challenge.opened": _event(),
        "challenge.answered": _event(),
        "examination.held": _event(case=str),
        "examination.decided": _event(),
        "consent.given": _event(NOTHING, statement=DIGEST, person=ID, uses=MAP, languages=WORDS),
        "consent.withdrawn": _event(),
        "consent.expired": _event(),
        "licence.granted": _event(
            NOTHING,
            {"consent": ID, "licensee": ID, "scope": MAP, "valid_until": TIME},
            consent=ID,
            licensee=ID,
            scope=MAP,
            valid_until=TIME,
            characters=COUNT,
            text=WORD,
            text_sha256=DIGEST,
            statement=DIGEST,
        ),
        "licence.offered": _event(consent=ID, licensee=ID, by=WORD, terms=DIGEST),
        "licence.countered": _event(consent=ID, licensee=ID, by=WORD, terms=DIGEST, former=ID),
        "licence.declined": _event(consent=ID, reason=WORD),
        "licence.notice": _event(consent=ID, until=TIME, days=COUNT),
        "licence.stopped": _event(consent=ID, reason=DIGEST, survival=WORD),
        "licence.outputs_settled": _event(survival=WORD, outputs=COUNT),
        "licence.seat": _event(seat=ID, what=WORD),
        "licence.ended": _event(),
        # Voices and speech
        "voice.requested": _event(NOTHING, consent=ID, job=ID),
        "voice.ready": _event(NOTHING, consent=ID, job=ID, training_digest=WORD),
        "voice.failed": _event(NOTHING, voice=ID, code=WORD),
        "voice.destroyed": _event(),
        "speech.requested": _event(NOTHING, voice=ID, characters=COUNT),
        "speech.held": _event(NOTHING, voice=ID, characters=COUNT),
        "output.sealed": _event(
            NOTHING, voice=ID, consent=ID, licence=_or_null(ID), job=ID, sha256=DIGEST, characters=COUNT
        ),
        "output.failed": _event(NOTHING, voice=ID, code=WORD),
        "speech.approved": _event(voice=ID, licence=ID, text=DIGEST),
        "speech.disapproved": _event(voice=ID, licence=ID, text=DIGEST),
        "mark.traced": _event(),
        "mark.reported": _event(),
        # Safety
        "policy.decided": _event(),
        "case.opened": _event(),
        "case.widened": _event(),
        "case.claimed": _event(),
        "case.decided": _event(),
        "case.released": _event(seconds=int),
        "case.viewed": _event(what=str),
        "case.noted": _event(note=ID),
        "case.reversed": _event(by_case=ID, why=str),
        "ruling.made": _event(
            ruling=ID, decision=str, second=Field({"type": "boolean"}, lambda v: isinstance(v, bool))
        ),
        "ruling.undone": _event(ruling=ID, decision=str),
        "ruling.seconded": _event(ruling=ID, decision=str),
        "ruling.declined": _event(ruling=ID, decision=str),
        "statement.given": _event(statement=ID, decision=str, clause=str),
        "appeal.opened": _event(appeal=ID, due_at=TIME),
        "appeal.message": _event(message=ID),
        "appeal.decided": _event(appeal=ID, outcome=str),
        "strike.given": _event(case=ID, points=COUNT, standing=COUNT),
        "strike.removed": _event(case=ID, points=COUNT),
        "check.decided": _event(check=ID, agreed=Field({"type": "boolean"}, lambda v: isinstance(v, bool))),
        "golden.made": _event(case=ID, expected=str),
        "notice.received": _event(form=str, notice=DIGEST, triage_due_at=TIME, action_due_at=TIME),
        "notice.triaged": _event(case=_or_null(ID)),
        "notice.ended": _event(state=str),
        "notice.countered": _event(counter=DIGEST),
        "desk.exported": _event(rows=COUNT, sha256=DIGEST),
        "restriction.made": _event(),
        "restriction.lifted": _event(),
        "report.made": _event(),
        "protected.added": _event(),
        "search.rekeyed": _event(templates=int),
        # Market
        "listing.made": _event(),
        "listing.withdrawn": _event(),
        "listing.published": _event(voice=ID, terms=DIGEST),
        "listing.turned_down": _event(voice=ID, reason=DIGEST),
        "name.protected": _event(name=DIGEST),
        "order.fulfilled": _event(),
        "order.disputed": _event(),
        "order.dispute_won": _event(),
        "order.refunded": _event(refunded_minor=int, currency=str),
        "ledger.booked": _event(entry=str, legs=list),
        "payment.mismatch": _event(said=str, due=str),
        "webhook.added": _event(url=DIGEST, kinds=list),
        "webhook.ended": _event(reason=str),
        "rates.published": _event(date=str, sha256=DIGEST),
        "statement.made": _event(period=str, account=DIGEST, uses=COUNT, head=DIGEST, root=DIGEST, summary=DIGEST),
    }
)


def missing(kind: str, data: Mapping[str, Any]) -> list[str]:
    """The keys that a new event of a known kind has to state and ``data`` lacks, or holds as something else."""
    return _lacking(EVENTS[kind].versions[-1], data)


def conforms(body: bytes) -> bool:
    """Whether a leaf's bytes are the canonical form of a known kind in a known version, with what it has to state."""
    try:
        found = canonical.decode(body)
    except canonical.NotCanonical:
        return False
    if not isinstance(found, dict) or found.keys() != BODY:
        return False
    event = EVENTS.get(found["kind"]) if isinstance(found["kind"], str) else None
    version, subject = found["v"], found["subject"]
    return (
        event is not None
        and type(version) is int
        and 1 <= version <= event.version
        and isinstance(subject, str)
        and 1 <= len(subject) <= MAX_SUBJECT
        and _ACTOR.holds(found["actor"])
        and TIME.holds(found["at"])
        and isinstance(found["rehearsal"], bool)
        and isinstance(found["data"], dict)
        and not _lacking(event.versions[version - 1], found["data"])
    )


def schema(kind: str, version: int) -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of a leaf's body. Raises KeyError, IndexError for one not in the table."""
    if version < 1:
        raise IndexError(version)
    fields = EVENTS[kind].versions[version - 1]
    return {
        "type": "object",
        "additionalProperties": False,
        "required": sorted(BODY),
        "properties": {
            "v": {"const": version},
            "kind": {"const": kind},
            "subject": {"type": "string", "minLength": 1, "maxLength": MAX_SUBJECT},
            "actor": dict(_ACTOR.schema),
            "at": dict(TIME.schema),
            "rehearsal": {"type": "boolean"},
            "data": {
                "type": "object",
                "required": sorted(fields),
                "properties": {name: dict(field.schema) for name, field in fields.items()},
            },
        },
    }


def schemas() -> dict[str, dict[str, Any]]:
    """Every schema: kind, then version."""
    return {
        kind: {str(number): schema(kind, number) for number in range(1, event.version + 1)}
        for kind, event in EVENTS.items()
    }


def _lacking(fields: Mapping[str, Field], data: Mapping[str, Any]) -> list[str]:
    return [name for name, field in fields.items() if name not in data or not field.holds(data[name])]
