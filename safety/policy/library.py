"""Which pack is in force, which runs in the shadow, and how that changes. The shipped pack rules until one is promoted.

A pack comes in only whole, signed by a trusted key, and loaded: with any fault the pack in force stays.
"""

from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from django.conf import settings
from django.db import transaction

from foundation import keys
from foundation.audit import log
from foundation.clock import now
from foundation.errors import Conflict
from foundation.identity.actors import Actor
from safety.policy import CORE, live_pack, release_key, signing
from safety.policy import pack as packs
from safety.policy.errors import PackInvalid
from safety.policy.facts import Classifier
from safety.policy.models import PackState, PolicyPack
from safety.policy.pack import Pack

OWN_KEY: Final = "policy"
"""The deployment's own signing key (`foundation.keys`)."""


class NothingToRollBack(Conflict):
    """The pack in force took no other's place: there is none to return to."""

    code = "nothing_to_roll_back"


class AlreadyLive(Conflict):
    """This pack is in force already."""

    code = "pack_already_live"


@dataclass(frozen=True, slots=True)
class InUse:
    """``shadow`` runs beside and decides nothing."""

    live: Pack
    shadow: Pack | None


def in_use() -> InUse:
    """The packs that judge texts now; one query. Raises PackInvalid: with no pack nothing is spoken."""
    rows = PolicyPack.objects.filter(state__in=[PackState.LIVE, PackState.SHADOW]).values_list("state", "sha256")
    found = {state: _compiled(sha256) for state, sha256 in rows}
    return InUse(found.get(PackState.LIVE) or live_pack(), found.get(PackState.SHADOW))


def by_hash(sha256: str) -> Pack:
    """A pack that was once used here, as it was. Raises PolicyPack.DoesNotExist, PackInvalid."""
    return live_pack() if sha256 == live_pack().sha256 else _compiled(sha256)


def trusted() -> dict[str, bytes]:
    """The public keys whose packs are taken here: the release's, and the deployment's own once it has one."""
    found = {"release": release_key()}
    if (settings.VOUCH_KEYS / f"{OWN_KEY}.pub").exists():
        found[OWN_KEY] = keys.public_key(OWN_KEY)
    return found


@lru_cache(maxsize=8)
def _classifiers(configured: str) -> dict[str, Classifier]:
    """``name=module:function`` by commas, as `VOUCH_POLICY_CLASSIFIERS` says it. Raises PackInvalid."""
    found: dict[str, Classifier] = {}
    for item in filter(None, (part.strip() for part in configured.split(","))):
        name, _, path = item.partition("=")
        module, _, function = path.partition(":")
        try:
            found[name] = getattr(import_module(module), function)
        except (ImportError, AttributeError, ValueError) as error:
            raise PackInvalid(f"the classifier {item!r} cannot be had: {error}") from error
    return found


def classifiers() -> dict[str, Classifier]:
    """The deployment's own classifiers by name. Raises PackInvalid."""
    return _classifiers(settings.VOUCH_POLICY_CLASSIFIERS)


@lru_cache(maxsize=8)
def _compiled(sha256: str) -> Pack:
    row = PolicyPack.objects.get(sha256=sha256)
    source = bytes(row.source)
    signing.check(row.signature, source, trusted())
    found = packs.compile_pack(packs.parse(source), classifiers())
    if found.sha256 != sha256:
        raise PackInvalid(f"{row}: what is kept is not what its hash names")
    return found


# -- changes ----------------------------------------------------------------------------------------------------------


def sign(folder: Path) -> Pack:
    """Checks the pack in ``folder``, signs it with the deployment's key, and returns it. Raises PackInvalid."""
    source = packs.read(folder)
    found = packs.compile_pack(source, classifiers())
    signing.write(folder, signing.sign(source.canonical(), keys.private_key(OWN_KEY)))
    return found


def take(folder: Path) -> Pack:
    """The signed pack in ``folder``, loaded. Nothing is kept. Raises PackUnsigned, PackInvalid."""
    return packs.load(folder, trusted=trusted(), classifiers=classifiers())


@transaction.atomic
def keep(folder: Path) -> PolicyPack:
    """The pack in ``folder`` among those kept here; the same when it was kept before. Raises as `take`."""
    return _kept(take(folder), folder)


@transaction.atomic
def row_of(pack: Pack) -> PolicyPack:
    """The kept row of a pack in use; the shipped one is kept when it first decides. Raises PackUnsigned."""
    found = PolicyPack.objects.filter(sha256=pack.sha256).first()
    return found or _kept(pack, CORE)


def _kept(found: Pack, folder: Path) -> PolicyPack:
    """The row of a compiled pack, under the signature of ``folder``, which must be over it."""
    signature = signing.verify(folder, found.source, trusted())
    row, _ = PolicyPack.objects.get_or_create(
        sha256=found.sha256,
        defaults={
            "name": found.name,
            "version": found.version,
            "reading": found.reading,
            "source": found.source,
            "signature": signature,
        },
    )
    return row


@transaction.atomic
def promote(*, folder: Path, actor: Actor) -> PolicyPack:
    """Puts the pack in ``folder`` in force; the former stays to return to. Raises PackInvalid (nothing changes then),
    AlreadyLive."""
    fresh = PolicyPack.objects.select_for_update().get(sha256=keep(folder).sha256)
    former = _live()
    if former.sha256 == fresh.sha256:
        raise AlreadyLive
    _change(former, PackState.FORMER)
    _change(fresh, PackState.LIVE, before=former)
    _leaf("policy.promoted", fresh, actor, former=former.sha256)
    return fresh


@transaction.atomic
def rollback(*, actor: Actor) -> PolicyPack:
    """Puts the pack in force that was before the present one. Raises NothingToRollBack, PackInvalid."""
    present = _live()
    if present.before is None:
        raise NothingToRollBack
    former = PolicyPack.objects.select_for_update().get(sha256=present.before_id)
    by_hash(former.sha256)  # a pack that no longer loads must not come back
    _change(present, PackState.FORMER)
    # Where it came from is gone by this step; a second rollback goes one further back.
    _change(former, PackState.LIVE, before=former.before)
    _leaf("policy.rolled_back", former, actor, former=present.sha256)
    return former


@transaction.atomic
def shadow(*, folder: Path | None, actor: Actor) -> PolicyPack | None:
    """Lets the pack in ``folder`` run beside the one in force; None ends that. Raises PackInvalid, AlreadyLive."""
    running = PolicyPack.objects.select_for_update().filter(state=PackState.SHADOW).first()
    fresh = None if folder is None else PolicyPack.objects.select_for_update().get(sha256=keep(folder).sha256)
    if fresh is not None and fresh.sha256 == _live().sha256:
        raise AlreadyLive
    if running is not None:
        _change(running, PackState.FORMER)
        _leaf("policy.shadow_ended", running, actor)
    if fresh is not None:
        fresh.refresh_from_db()
        _change(fresh, PackState.SHADOW)
        _leaf("policy.shadowed", fresh, actor)
    return fresh


def _live() -> PolicyPack:
    """The row of the pack in force, locked."""
    found = PolicyPack.objects.select_for_update().filter(state=PackState.LIVE).first()
    if found is not None:
        return found
    shipped = PolicyPack.objects.select_for_update().get(sha256=keep(CORE).sha256)
    _change(shipped, PackState.LIVE)
    return shipped


def _change(row: PolicyPack, state: PackState, **more: Any) -> None:
    row.state, row.since = state, now() if state != PackState.FORMER else row.since
    for name, value in more.items():
        setattr(row, name, value)
    row.save(update_fields=["state", "since", *more])


def _leaf(kind: str, row: PolicyPack, actor: Actor, **more: str) -> None:
    log.record(
        kind=kind,
        subject=f"policy:{row.sha256}",
        actor=actor,
        data={"pack": str(row), "pack_sha256": row.sha256, **more},
        rehearsal=settings.REHEARSAL,
    )
