"""Every kind of event the log knows, with its versions and what each has to state, as JSON Schema. Pure.

A kind that states something else than before gets a new version; old leaves keep theirs and are checked by it. A kind
that is not here is refused, so the table is also the list an auditor reads to know what is recorded. A new event states
everything its kind's latest version needs, and nothing that it does not name; of earlier versions more may be said.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from foundation.audit import canonical
from foundation.audit.fields import (
    ACTOR,
    BY_TYPE,
    COUNT,
    DIGEST,
    FLAG,
    ID,
    LIST,
    MAP,
    NUMBER,
    TIME,
    WHOLE,
    WORD,
    WORDS,
    Field,
    maybe,
    or_null,
)

BODY: Final = frozenset({"v", "kind", "subject", "actor", "at", "rehearsal", "data"})
"""The keys of every leaf's body."""

MAX_SUBJECT: Final = 200
"""Characters of a subject such as ``consent:<uuid>``."""


@dataclass(frozen=True, slots=True)
class Event:
    """What each version of a kind states, oldest first; new leaves get the last, which states nothing else."""

    versions: tuple[Mapping[str, Field], ...]

    @property
    def version(self) -> int:
        """The version that goes into a new leaf as ``v``."""
        return len(self.versions)


def _event(*former: Mapping[str, Field], **fields: Field | type) -> Event:
    """A kind that states ``fields``; ``former`` are its versions before, oldest first. ``str`` means any text."""
    latest = {name: BY_TYPE[field] if isinstance(field, type) else field for name, field in fields.items()}
    return Event((*former, MappingProxyType(latest)))


NOTHING: Final[Mapping[str, Field]] = MappingProxyType({})
"""What the first version of many kinds had to state."""

_BASIS: Final[Mapping[str, Field]] = MappingProxyType(
    {
        "voice": or_null(ID),
        "consent": or_null(ID),
        "licence": or_null(ID),
        "policy": WORD,
        "rule": or_null(WORD),
        "approval": or_null(ID),
    }
)
"""What a judgement of the gate rests on."""
_CONSENT_ENDED: Final[Mapping[str, Field]] = MappingProxyType(
    {"reason": WORD, "licences_ended": COUNT, "recordings_destroyed": COUNT}
)
_HOLD: Final[Mapping[str, Field]] = MappingProxyType(
    {"hold": ID, "reason": DIGEST, "expires_at": TIME, "ended": or_null(WORD)}
)
_HOLD_BEFORE: Final[Mapping[str, Field]] = MappingProxyType({"hold": WORD, "reason": WORD, "expires_at": WORD})
_SPEECH: Final[Mapping[str, Field]] = MappingProxyType(
    {
        **_BASIS,
        "voice": ID,
        "job": or_null(ID),
        "characters": COUNT,
        "language": WORD,
        "channel": WORD,
        "territory": WORD,
        "uses": WORDS,
        "owner_asked": or_null(ID),
        "case": or_null(ID),
        "mask": maybe(ID),
    }
)
_SPEECH_BEFORE: Final[Mapping[str, Field]] = MappingProxyType({"voice": ID, "characters": COUNT})
_OFFER: Final[Mapping[str, Field]] = MappingProxyType({"consent": ID, "licensee": ID, "by": WORD, "terms": DIGEST})
_ORDER: Final[Mapping[str, Field]] = MappingProxyType({"refunded_minor": or_null(COUNT), "currency": WORD})
_KEY: Final[Mapping[str, Field]] = MappingProxyType({"key_kind": WORD, "owner": WORD})

EVENTS: Final[Mapping[str, Event]] = MappingProxyType(
    {
        # People and keys of programs
        "person.registered": _event(role=str),
        "person.erased": _event(erased=dict),
        "person.second_factor": _event(act=str),
        "person.signed_in": _event(by=list),
        "person.sessions_ended": _event(sessions=int),
        "person.sign_in_stopped": _event(failures=int, seconds=int),
        "key.api_issued": _event(key=str, scopes=list),
        "key.api_revoked": _event(key=str),
        "clock.moved": _event(NOTHING, offset_seconds=NUMBER),
        "clock.accepted": _event(reason=str, seconds_back=int),
        # Vault
        "key.created": _event({"key_kind": WORD}, **_KEY),
        "key.destroyed": _event({"key_kind": WORD, "reason": WORD}, **_KEY, reason=WORD),
        "key.erased": _event(key_kind=str, epoch_before=int, epoch_after=int, erased_at=str),
        "key.rotated": _event({"key_kind": WORD, "objects": WHOLE}, key_kind=WORD, objects=COUNT, rotated_at=TIME),
        "key.master_rotated": _event(keys=int, ring=str),
        "keystore.reconciled": _event(store_epoch=int, known_epoch=int, epoch=int, erased=int),
        "clearance.issued": _event(
            NOTHING, {"purpose": WORD, "clearance": ID}, **_BASIS, purpose=WORD, outcome=WORD, clearance=ID
        ),
        "clearance.refused": _event(NOTHING, {"purpose": WORD, "code": WORD}, **_BASIS, purpose=WORD, code=WORD),
        "clearance.used": _event(
            {"clearance": WORD, "purpose": WORD, "consent": WORD},
            clearance=ID, purpose=WORD, consent=ID, licence=or_null(ID), training_digest=or_null(DIGEST), policy=WORD,
        ),
        # Custody of recordings
        "custody.received": _event(
            NOTHING,
            {"purpose": WORD, "kind": WORD, "key": ID, "size": COUNT, "received_at": TIME, "deadline": TIME},
            purpose=WORD, kind=WORD, parent=or_null(ID), key=ID, size=COUNT, commitment=DIGEST, received_at=TIME,
            deadline=TIME,
        ),
        "custody.destroyed": _event(
            NOTHING,
            {
                "purpose": WORD, "kind": WORD, "key": ID, "reason": WORD, "received_at": TIME, "deadline": TIME,
                "destroyed_at": TIME,
            },
            # Of an upload that never ended there is no commitment: an empty word.
            purpose=WORD, kind=WORD, key=ID, reason=WORD, commitment=WORD, received_at=TIME, deadline=TIME,
            destroyed_at=TIME,
        ),
        "custody.overdue": _event(deadline=str, seconds=int),
        "clock.set_back": _event(seconds=int),
        "hold.requested": _event(_HOLD_BEFORE, **_HOLD),
        "hold.approved": _event(_HOLD_BEFORE, **_HOLD),
        "hold.release_requested": _event(**_HOLD),
        "hold.ended": _event({"hold": WORD, "ended": WORD}, **_HOLD),
        # Consent
        "challenge.opened": _event(NOTHING, words=COUNT, expires_at=TIME),
        "challenge.answered": _event(NOTHING, custody=ID, commitment=DIGEST, seconds=NUMBER),
        "examination.held": _event({"case": WORD}, examination=ID, case=ID, evidence=DIGEST),
        "examination.decided": _event(
            NOTHING, examination=ID, state=WORD, verdict=WORD, reason=WORD, evidence=DIGEST, measures=LIST
        ),
        "consent.given": _event(
            NOTHING,
            {"statement": DIGEST, "person": ID, "uses": MAP, "languages": WORDS},
            statement=DIGEST, person=ID, basis=WORD, former=or_null(ID), uses=MAP, languages=WORDS, valid_until=TIME,
            text=WORD, biometric_release=or_null(WORD),
        ),
        "consent.withdrawn": _event(NOTHING, **_CONSENT_ENDED),
        "consent.expired": _event(NOTHING, **_CONSENT_ENDED),
        "licence.granted": _event(
            NOTHING,
            {"consent": ID, "licensee": ID, "scope": MAP, "valid_until": TIME},
            consent=ID, licensee=ID, scope=MAP, characters=COUNT, valid_until=TIME, text=WORD, text_sha256=DIGEST,
            statement=DIGEST,
        ),
        "licence.offered": _event(**_OFFER),
        "licence.countered": _event(**_OFFER, former=ID),
        "licence.declined": _event(consent=ID, reason=DIGEST),
        "licence.notice": _event(consent=ID, until=TIME, days=COUNT),
        "licence.stopped": _event(consent=ID, reason=DIGEST, survival=WORD),
        "licence.outputs_settled": _event(survival=WORD, outputs=COUNT),
        "licence.seat": _event(seat=ID, what=WORD),
        "licence.ended": _event(NOTHING, consent=ID, reason=WORD, characters_used=COUNT),
        # Voices and speech
        "voice.requested": _event(
            NOTHING,
            {"consent": ID, "job": ID},
            consent=ID, job=ID, training_digest=maybe(DIGEST), language=maybe(WORD), version=maybe(WORD),
            retry=maybe(FLAG),
        ),
        "voice.ready": _event(
            NOTHING,
            {"consent": ID, "job": ID, "training_digest": WORD},
            consent=ID, job=ID, training_digest=DIGEST, bytes=COUNT, version=maybe(WORD),
        ),
        "voice.instant_requested": _event(consent=ID, job=ID),
        "voice.instant_ready": _event(consent=ID, job=ID, training_digest=DIGEST, bytes=COUNT),
        "voice.instant_failed": _event(voice=ID, code=WORD),
        "voice.failed": _event(NOTHING, voice=ID, code=WORD),
        "voice.destroyed": _event(NOTHING, consent=ID, outputs_revoked=COUNT),
        "speech.requested": _event(NOTHING, _SPEECH_BEFORE, **_SPEECH),
        "speech.held": _event(NOTHING, _SPEECH_BEFORE, **_SPEECH),
        "output.sealed": _event(
            NOTHING,
            {"voice": ID, "consent": ID, "licence": or_null(ID), "job": ID, "sha256": DIGEST, "characters": COUNT},
            voice=ID, consent=ID, licence=or_null(ID), job=ID, sha256=DIGEST, characters=COUNT,
            payload_commitment=WORD, label_seconds=NUMBER, mark_score=NUMBER, usage=MAP, mask=maybe(ID),
            instant=maybe(FLAG),
        ),
        "stream.opened": _event(
            voice=ID, consent=ID, licence=or_null(ID), job=ID, payload_commitment=WORD, label_seconds=NUMBER
        ),
        "output.failed": _event(NOTHING, voice=ID, code=WORD),
        "speech.approved": _event(voice=ID, licence=ID, text=DIGEST, approval=ID),
        "speech.disapproved": _event(voice=ID, licence=ID, text=DIGEST, approval=ID),
        "mask.requested": _event(voice=ID, job=ID),
        "mask.ready": _event(
            voice=ID, job=ID, likeness=NUMBER, limit=NUMBER, others_below=NUMBER, model=WORD
        ),
        "mask.failed": _event(voice=ID, code=WORD),
        "mask.ended": _event(voice=ID, reason=WORD),
        "batch.requested": _event(voice=ID, form=WORD, lines=COUNT, refused=COUNT),
        "batch.cancelled": _event(voice=ID, form=WORD, lines=COUNT),
        "mark.traced": _event(NOTHING, state=WORD, outputs=WORDS, code=WORD, anonymous=FLAG),
        "mark.reported": _event(NOTHING, verdict=WORD, as_of=WORD),
        # Safety
        "policy.decided": _event(NOTHING, **_BASIS, purpose=WORD, outcome=WORD),
        "policy.promoted": _event(pack=WORD, pack_sha256=DIGEST, former=DIGEST),
        "policy.rolled_back": _event(pack=WORD, pack_sha256=DIGEST, former=DIGEST),
        "policy.shadowed": _event(pack=WORD, pack_sha256=DIGEST),
        "policy.shadow_ended": _event(pack=WORD, pack_sha256=DIGEST),
        # A case of a text, of a resemblance, of reports, or of a consent by representative: each states its own.
        "case.opened": _event(
            NOTHING,
            kind=WORD, requester=maybe(WORD), text=maybe(DIGEST), voice=maybe(WORD), rule=maybe(WORD),
            clause=maybe(WORD), pack=maybe(WORD), pack_sha256=maybe(WORD), matches=maybe(DIGEST),
            subject_kind=maybe(WORD), subject_ref=maybe(WORD), standing=maybe(WORD), statement=maybe(DIGEST),
        ),
        "case.widened": _event(NOTHING, kind=WORD, requester=WORD, clause=WORD, matches=DIGEST),
        "case.claimed": _event(NOTHING, kind=WORD, until=maybe(TIME), document=maybe(ID), custody=maybe(ID)),
        "case.decided": _event(
            NOTHING,
            kind=WORD, decision=maybe(WORD), clause=maybe(WORD), reason=maybe(DIGEST), restriction=maybe(or_null(ID)),
            approve=maybe(FLAG), approvals=maybe(COUNT), outcome=maybe(WORD), second=maybe(WORD),
        ),
        "case.released": _event(seconds=int),
        "case.viewed": _event(what=str),
        "case.noted": _event(note=ID),
        "case.reversed": _event(by_case=ID, why=str, reason=DIGEST, lifted=COUNT, was=WORD),
        "ruling.made": _event(ruling=ID, decision=str, clause=WORD, second=FLAG),
        "ruling.undone": _event(ruling=ID, decision=str),
        "ruling.seconded": _event(ruling=ID, decision=str),
        "ruling.declined": _event(ruling=ID, decision=str),
        "statement.given": _event(statement=ID, decision=str, clause=str),
        "appeal.opened": _event(appeal=ID, due_at=TIME),
        "appeal.message": _event(message=ID, from_desk=FLAG),
        "appeal.decided": _event(appeal=ID, outcome=str),
        "strike.given": _event(case=ID, points=COUNT, standing=COUNT),
        "strike.removed": _event(case=ID, points=COUNT),
        "check.decided": _event(check=ID, agreed=FLAG),
        "golden.made": _event(case=ID, expected=str),
        "notice.received": _event(
            form=str, notice=DIGEST, subject_kind=WORD, subject_ref=WORD, triage_due_at=TIME, action_due_at=TIME
        ),
        "notice.triaged": _event(case=or_null(ID)),
        "notice.ended": _event(state=str, case=maybe(ID), pursued=maybe(FLAG)),
        "notice.countered": _event(counter=DIGEST),
        "desk.exported": _event(rows=COUNT, sha256=DIGEST),
        "restriction.made": _event(
            NOTHING, restriction=ID, effect=WORD, clause=WORD, reason=DIGEST, case=or_null(ID), expires_at=maybe(TIME)
        ),
        "restriction.lifted": _event(NOTHING, restriction=ID, effect=WORD, reason=DIGEST),
        "report.made": _event(NOTHING, report=ID, text=DIGEST, subject_kind=WORD, subject_ref=WORD),
        "protected.added": _event(NOTHING, dimensions=COUNT, threshold=NUMBER, source=maybe(WORD)),
        "protected.removed": _event(source=WORD, reason=WORD),
        "protected.exported": _event(entries=COUNT),
        "protected.imported": _event(origin=WORD, added=COUNT, removed=COUNT),
        "search.rekeyed": _event({"templates": WHOLE}, templates=COUNT, former=or_null(ID)),
        # Market
        "membership.begun": _event(**{"is": WORD, "from": TIME, "until": TIME}),
        "membership.ended": _event(reason=WORD),
        "listing.made": _event(NOTHING, voice=ID, price_minor=COUNT, currency=WORD, scope=MAP),
        "listing.withdrawn": _event(NOTHING, voice=ID),
        "listing.published": _event(voice=ID, terms=DIGEST),
        "listing.turned_down": _event(voice=ID, reason=DIGEST),
        "market.searched": _event(state=WORD, offers=COUNT, code=WORD),
        "name.protected": _event(name=DIGEST),
        "order.fulfilled": _event(
            NOTHING,
            listing=ID, licence=ID, terms=DIGEST, characters=COUNT, amount_minor=COUNT, currency=WORD,
            payment=or_null(DIGEST),
        ),
        "order.disputed": _event(NOTHING, **_ORDER),
        "order.dispute_won": _event(NOTHING, **_ORDER),
        "order.refunded": _event(**_ORDER),
        "ledger.booked": _event(
            {"entry": WORD, "legs": LIST}, entry=WORD, order=or_null(ID), settles=or_null(ID), legs=LIST
        ),
        "payment.mismatch": _event(said=str, due=str),
        "webhook.added": _event(url=DIGEST, kinds=list),
        "webhook.ended": _event(reason=str),
        "webhook.secret_rotated": _event(former_until=str),
        "rates.published": _event(date=str, sha256=DIGEST, base=WORD, rates=MAP),
        "charge.made": _event(order=ID, licence=ID, charge=MAP),
        "revenue.declared": _event(
            order=ID, licence=ID, period=WORD, revenue_minor=COUNT, currency=WORD, act=or_null(DIGEST)
        ),
        "statement.made": _event(
            period=WORD, account=DIGEST, final=FLAG, uses=COUNT, head=DIGEST, root=DIGEST, summary=DIGEST
        ),
        "payout.account_set": _event(account=DIGEST, currency=str),
        "payout.batch": _event(transfers=COUNT, entries=list),
    }
)  # fmt: skip


def missing(kind: str, data: Mapping[str, Any]) -> list[str]:
    """The keys that a new event of a known kind has to state and ``data`` lacks, or holds as something else."""
    return _lacking(EVENTS[kind].versions[-1], data)


def unknown(kind: str, data: Mapping[str, Any]) -> list[str]:
    """The keys of ``data`` that a new event of a known kind may not state."""
    return sorted(data.keys() - EVENTS[kind].versions[-1].keys())


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
        and ACTOR.holds(found["actor"])
        and TIME.holds(found["at"])
        and isinstance(found["rehearsal"], bool)
        and isinstance(found["data"], dict)
        and not _lacking(event.versions[version - 1], found["data"])
        and (version < event.version or found["data"].keys() <= event.versions[-1].keys())
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
            "actor": dict(ACTOR.schema),
            "at": dict(TIME.schema),
            "rehearsal": {"type": "boolean"},
            "data": {
                "type": "object",
                "required": sorted(name for name, field in fields.items() if field.needed),
                "properties": {name: dict(field.schema) for name, field in fields.items()},
                **({"additionalProperties": False} if version == EVENTS[kind].version else {}),
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
    return [name for name, field in fields.items() if (not field.holds(data[name]) if name in data else field.needed)]
