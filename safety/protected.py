"""Voices that are searched for before anybody consents: protected ones, and those another account has enrolled.

Each template is projected by the present search key (`safety.projection`) and sealed under a vault key of its own, so
that leaving the registry destroys exactly one. The search opens every template and takes the cosine: honest and exact,
five milliseconds of processor time a voice, in a worker. It must become an index before there are a thousand voices.
"""

import math
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final, Literal
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet

from foundation.audit import log
from foundation.clock import now
from foundation.errors import Gone
from foundation.identity.actors import Actor
from foundation.vault import services as vault
from foundation.vault.models import SealedObject
from safety.errors import BadEmbedding, NoReason
from safety.models import BankOrigin, EnrolledVoice, ProtectedVoice, SearchKey
from safety.projection import MAX_DIMENSIONS, SECRET_BYTES, rotation
from safety.states import ProtectionSource, ProtectionState, SearchKeyState

if TYPE_CHECKING:
    import numpy as np

SAME_VOICE: Final = 0.80
"""Cosine from which a live voice counts as a protected one. The consent check asks the same of a speaker and their own
recording, so that a voice close enough to consent with is close enough to be protected."""
SAME_ENROLLED: Final = 0.86
"""Cosine from which a live voice counts as one that another account enrolled. Higher, because every ceremony is held
against every enrolled voice: of 4,088 pairs of different people the nearest had 0.863 at ten seconds, while at 0.80
about one pair in a hundred would send an honest person to a moderator. The price: the same person on another day and
microphone (0.81 on average, the one person measured) is mostly not noticed here."""
MAX_LABEL: Final = 120
_ATTEMPTS: Final = 3
"""A search starts over when a template ends or is projected anew under its eyes; this often is no coincidence."""
_ACTOR: Final = Actor.system("safety.protected")


@dataclass(frozen=True, slots=True)
class Match:
    """A voice that sounds like the one asked about. ``similarity``: cosine, -1..1, at least ``threshold``.

    ``ref`` is the id of the protected or enrolled voice, ``label`` what moderators read, ``person_id`` whose account
    enrolled it (of enrolled voices).
    """

    kind: Literal["protected", "enrolled"]
    ref: str
    label: str
    person_id: UUID | None
    similarity: float
    threshold: float


# -- the search -------------------------------------------------------------------------------------------------------


def search(*, embedding: Sequence[float], besides: UUID | None = None) -> list[Match]:
    """Protected voices at ``SAME_VOICE`` or nearer and enrolled ones at ``SAME_ENROLLED``, nearest first.

    ``besides``: the person whose own enrolled voices are left out. Every voice in force must be comparable: a template
    of another size (from another speaker model) raises BadEmbedding and one that cannot be opened Gone, instead of
    being passed over, for a voice that cannot be compared is not known to be unprotected.
    """
    unit = _unit(embedding)
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            return sorted(_matches(unit, besides), key=lambda match: match.similarity, reverse=True)
        except Gone:
            if attempt == _ATTEMPTS:
                raise
    raise AssertionError("unreachable")


def _matches(unit: "np.ndarray", besides: UUID | None) -> Iterator[Match]:
    turned = _Turned(unit)
    for one in _protected().iterator():
        similarity = turned.cosine(one.template, one.search_key, one.dimensions)
        if similarity >= SAME_VOICE:
            yield Match("protected", str(one.id), one.label, None, similarity, SAME_VOICE)
    others = _enrolled() if besides is None else _enrolled().exclude(person_id=besides)
    for other in others.iterator():
        similarity = turned.cosine(other.template, other.search_key, other.dimensions)
        if similarity >= SAME_ENROLLED:
            yield Match("enrolled", str(other.id), "", other.person_id, similarity, SAME_ENROLLED)


@dataclass(frozen=True, slots=True)
class Nearest:
    """The highest cosine (-1..1; -1 where there is nobody) to a protected voice and to an enrolled one."""

    protected: float
    enrolled: float


def nearest(*, embedding: Sequence[float], besides: UUID) -> Nearest:
    """How near a voice comes to anybody but ``besides``. Raises as `search`."""
    turned = _Turned(_unit(embedding))
    best = {"protected": -1.0, "enrolled": -1.0}
    for one in _protected().exclude(source=ProtectionSource.OWN, person_id=besides):
        best["protected"] = max(best["protected"], turned.cosine(one.template, one.search_key, one.dimensions))
    for other in _enrolled().exclude(person_id=besides).iterator():
        best["enrolled"] = max(best["enrolled"], turned.cosine(other.template, other.search_key, other.dimensions))
    return Nearest(**best)


def likeness(*, embedding: Sequence[float], consent_ref: str) -> float | None:
    """Cosine (-1..1) with the voice that is enrolled under a consent; None where none is. Raises BadEmbedding, Gone."""
    own = _enrolled().filter(consent_ref=consent_ref).first()
    if own is None:
        return None
    return _Turned(_unit(embedding)).cosine(own.template, own.search_key, own.dimensions)


class _Turned:
    """The voice asked about, projected by each search key it is compared under: nearly always one."""

    def __init__(self, unit: "np.ndarray") -> None:
        self._unit = unit
        self._by_key: dict[UUID | None, np.ndarray] = {None: unit}

    def cosine(self, template: SealedObject, key: SearchKey | None, dimensions: int) -> float:
        if dimensions != self._unit.size:
            raise BadEmbedding("The registry holds embeddings of another speaker model.")
        at = key.id if key else None
        if at not in self._by_key and key is not None:
            self._by_key[at] = rotation(_secret(key), dimensions) @ self._unit
        return float(self._by_key[at] @ _open(template))


# -- the registries ---------------------------------------------------------------------------------------------------


@transaction.atomic
def protect(*, actor: Actor, embedding: Sequence[float], label: str) -> ProtectedVoice:
    """Puts a voice under protection; only moderators do. Raises NotAllowed, BadEmbedding, NoReason (no label)."""
    actor.require_scope("moderate")
    actor.require_role("moderator", "senior")
    label = label.strip()[:MAX_LABEL]
    if not label:
        raise NoReason("A protected voice needs a label.")
    return add(embedding=embedding, source=ProtectionSource.MODERATOR, label=label, actor=actor)


@transaction.atomic
def enrol(
    *, person_id: UUID, consent_ref: str, embedding: Sequence[float], not_after: datetime, actor: Actor
) -> EnrolledVoice:
    """Lets the voice of a consent be found when another account offers it, until ``not_after`` or `unenrol`.

    One a consent. Raises BadEmbedding.
    """
    unit = _unit(embedding)
    enrolled = EnrolledVoice(person_id=person_id, consent_ref=consent_ref, dimensions=unit.size)
    enrolled.search_key = _present_key(actor)
    turned = rotation(_secret(enrolled.search_key), unit.size) @ unit
    enrolled.template = _seal(turned, f"enrolled:{enrolled.id}", not_after, actor)
    enrolled.save()
    return enrolled


@transaction.atomic
def unenrol(*, consent_ref: str, reason: str, actor: Actor) -> datetime | None:
    """Destroys the search template of a consent that ends; returns when. None if it has none. Safe to call twice."""
    found = EnrolledVoice.objects.select_for_update(of=("self",)).filter(consent_ref=consent_ref)
    enrolled = found.select_related("template__key").first()
    if enrolled is None:
        return None
    if enrolled.removed_at is None:
        enrolled.state, enrolled.removed_at = ProtectionState.REMOVED, now()
        enrolled.save(update_fields=["state", "removed_at"])
        vault.destroy_key(key=enrolled.template.key, reason=reason, actor=actor)
    return enrolled.removed_at


# -- the search key ---------------------------------------------------------------------------------------------------


@transaction.atomic
def rekey(*, actor: Actor) -> int:
    """Projects every template in force by a fresh secret and destroys the old one. Returns how many.

    After it, a copy made of any template before it fits nothing. What is past its time is left behind, unreadable.
    """
    old = SearchKey.objects.select_for_update(of=("self",)).filter(state=SearchKeyState.ACTIVE).first()
    if old is not None:
        old.state, old.retired_at = SearchKeyState.RETIRED, now()
        old.save(update_fields=["state", "retired_at"])
    fresh = _make_key(actor)
    matrices: dict[tuple[UUID, int], np.ndarray] = {}

    def matrix(key: SearchKey, dimensions: int) -> "np.ndarray":
        if (key.id, dimensions) not in matrices:
            matrices[key.id, dimensions] = rotation(_secret(key), dimensions)
        return matrices[key.id, dimensions]

    voices: list[ProtectedVoice | EnrolledVoice] = [
        *_protected().select_for_update(of=("self",)),
        *_enrolled().select_for_update(of=("self",)),
    ]
    for voice in voices:
        former, unit = voice.template, _open(voice.template)
        if voice.search_key is not None:
            unit = matrix(voice.search_key, unit.size).T @ unit
        voice.search_key = fresh
        voice.template = _seal(matrix(fresh, unit.size) @ unit, former.owner_ref, former.not_after, actor)
        voice.save(update_fields=["search_key", "template"])
        vault.destroy_key(key=former.key, reason="rekeyed", actor=actor)
    if old is not None:
        vault.destroy_key(key=old.key, reason="rekeyed", actor=actor)
    log.record(
        kind="search.rekeyed",
        subject=f"search_key:{fresh.id}",
        actor=actor,
        data={"templates": len(voices), "former": str(old.id) if old else None},
        rehearsal=settings.REHEARSAL,
    )
    return len(voices)


def _present_key(actor: Actor) -> SearchKey:
    """The active key, locked against `rekey` until the caller commits; made when there is none."""
    active = SearchKey.objects.select_for_update(of=("self",), no_key=True).filter(state=SearchKeyState.ACTIVE)
    if (found := active.first()) is not None:
        return found
    try:
        with transaction.atomic():
            return _make_key(actor)
    except IntegrityError:  # somebody else made the first one a moment earlier
        return active.get()


def _make_key(actor: Actor) -> SearchKey:
    made = SearchKey()
    owner = f"search_key:{made.id}"
    made.key = vault.create_key(kind="search", owner_ref=owner, actor=actor)
    secret = secrets.token_bytes(SECRET_BYTES)
    made.secret = vault.store(key=made.key, kind="search", owner_ref=owner, data=secret, not_after=None, actor=actor)
    made.save(force_insert=True)
    return made


def _secret(key: SearchKey) -> bytes:
    return vault.read(sealed_object=key.secret, actor=_ACTOR)


# -- templates --------------------------------------------------------------------------------------------------------


def add(
    *,
    embedding: Sequence[float],
    source: str,
    label: str,
    actor: Actor,
    person_id: UUID | None = None,
    basis_ref: str = "",
    public_name: str = "",
    bank: BankOrigin | None = None,
    bank_ref: str = "",
) -> ProtectedVoice:
    """The voice under protection, whoever asked for it: the callers have settled by what right. In a transaction.

    Raises BadEmbedding.
    """
    unit = _unit(embedding)
    voice = ProtectedVoice(
        label=label,
        dimensions=unit.size,
        source=source,
        person_id=person_id,
        basis_ref=basis_ref,
        public_name=public_name,
        bank=bank,
        bank_ref=bank_ref,
        added_by_id=actor.person_id if source == ProtectionSource.MODERATOR else None,
    )
    voice.search_key = _present_key(actor)
    turned = rotation(_secret(voice.search_key), unit.size) @ unit
    voice.template = _seal(turned, f"protected:{voice.id}", None, actor)
    leaf = log.append(
        kind="protected.added",
        subject=f"protected:{voice.id}",
        actor=actor,
        data={"dimensions": unit.size, "threshold": SAME_VOICE, "source": source},
        rehearsal=settings.REHEARSAL,
    )
    voice.leaf_index = leaf.index
    voice.save(force_insert=True)
    return voice


@transaction.atomic
def remove(*, voice: ProtectedVoice, reason: str, actor: Actor) -> bool:
    """Ends a protection: its template's key is destroyed. Whether it was in force. The caller settled by what right."""
    found = ProtectedVoice.objects.select_for_update(of=("self",)).select_related("template__key").get(id=voice.id)
    if found.state == ProtectionState.REMOVED:
        return False
    found.state, found.removed_at = ProtectionState.REMOVED, now()
    found.save(update_fields=["state", "removed_at"])
    vault.destroy_key(key=found.template.key, reason=reason, actor=actor)
    log.record(
        kind="protected.removed",
        subject=f"protected:{found.id}",
        actor=actor,
        data={"source": found.source, "reason": reason},
        rehearsal=settings.REHEARSAL,
    )
    return True


def of_person(person_id: UUID) -> ProtectedVoice | None:
    """The protection in force of a person's own voice, asked for by themselves."""
    own = ProtectedVoice.objects.filter(person_id=person_id, source=ProtectionSource.OWN)
    return own.filter(state=ProtectionState.ACTIVE).first()


def rests_on(basis_ref: str) -> bool:
    """Whether a protection, in force or ended, was made on this challenge or review."""
    return ProtectedVoice.objects.filter(basis_ref=basis_ref).exists()


def public_names() -> list[str]:
    """Names of the protected public figures, for the policy."""
    named = ProtectedVoice.objects.filter(state=ProtectionState.ACTIVE).exclude(public_name="")
    return sorted(named.values_list("public_name", flat=True).distinct())


def embeddings() -> Iterator[tuple[ProtectedVoice, "np.ndarray"]]:
    """Every protected voice in force that is no other platform's, taken back to its unit embedding."""
    matrices: dict[tuple[UUID, int], np.ndarray] = {}
    for voice in _protected().exclude(source=ProtectionSource.BANK):
        unit = _open(voice.template)
        if voice.search_key is not None:
            at = (voice.search_key.id, unit.size)
            if at not in matrices:
                matrices[at] = rotation(_secret(voice.search_key), unit.size)
            unit = matrices[at].T @ unit
        yield voice, unit


def _protected() -> QuerySet[ProtectedVoice]:
    active = ProtectedVoice.objects.filter(state=ProtectionState.ACTIVE)
    return active.select_related("template__key", "search_key__secret").order_by("id")


def _enrolled() -> QuerySet[EnrolledVoice]:
    """Those whose time is not over: a template past its deadline opens no more, and its consent is over too."""
    in_time = Q(template__not_after=None) | Q(template__not_after__gt=now())
    active = EnrolledVoice.objects.filter(in_time, state=ProtectionState.ACTIVE)
    return active.select_related("template__key", "search_key__secret").order_by("id")


def _seal(values: "np.ndarray", owner_ref: str, not_after: datetime | None, actor: Actor) -> SealedObject:
    """Sealed as float32 little-endian, under a key of its own."""
    key = vault.create_key(kind="template", owner_ref=owner_ref, actor=actor)
    data = values.astype("<f4").tobytes()
    return vault.store(key=key, kind="template", owner_ref=owner_ref, data=data, not_after=not_after, actor=actor)


def _open(template: SealedObject) -> "np.ndarray":
    import numpy as np

    return np.frombuffer(vault.read(sealed_object=template, actor=_ACTOR), dtype="<f4").astype(np.float64)


def _unit(embedding: Sequence[float]) -> "np.ndarray":
    """float64 of length one. Raises BadEmbedding."""
    import numpy as np

    values = np.asarray([float(value) for value in embedding])
    if not 0 < values.size <= MAX_DIMENSIONS:
        raise BadEmbedding(f"1 to {MAX_DIMENSIONS} numbers make an embedding.")
    length = math.sqrt(float(values @ values)) if np.isfinite(values).all() else math.inf
    if not math.isfinite(length) or length == 0:
        raise BadEmbedding("The embedding has no direction.")
    return np.asarray(values / length)
