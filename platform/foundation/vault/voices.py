"""The door for voices: opened by a clearance, which is spent in the act."""

from uuid import UUID

from django.conf import settings
from django.db import IntegrityError, transaction

from foundation import keys
from foundation.audit import log
from foundation.identity.actors import Actor
from foundation.vault import clearance as clearances
from foundation.vault import objects, timeguard
from foundation.vault.clearance import Clearance, Purpose
from foundation.vault.errors import ClearanceInvalid, ClearanceMismatch, ClearanceUsed, KeyDestroyed, VaultMisuse
from foundation.vault.models import ClearanceUse, KeyState, SealedObject, VaultKey

VOICE = "voice"
"""The kind of key that opens only here. Its ``owner_ref`` is the voice's id, ``str(uuid)``."""

WEIGHTS = "voice-weights"
"""The kind of the object that ``store_voice`` makes."""


def store_voice(
    *, clearance: str, key: VaultKey, owner_ref: str, data: bytes, digest: str, actor: Actor
) -> SealedObject:
    """Seals a trained voice against a clearance to train it from the training set with this ``digest``.

    The clearance is spent, and that is committed, before anything else: never call it inside a transaction
    (RuntimeError). Raises ClearanceInvalid, ClearanceExpired, ClearanceMismatch, ClearanceUsed, KeyDestroyed,
    ClockSetBack, Tampered, VaultMisuse.
    """
    _spend(token=clearance, purpose="train", key_id=key.id, digest=digest, actor=actor)
    return objects.seal(key=key, kind=WEIGHTS, owner_ref=owner_ref, data=data, not_after=None)


def open_voice(*, clearance: str, sealed_object: SealedObject, digest: str, actor: Actor) -> bytes:
    """The voice's plaintext against a clearance to speak the text with this ``digest``. Raises as ``store_voice``."""
    key_id = SealedObject.objects.values_list("key_id", flat=True).get(id=sealed_object.id)
    _spend(token=clearance, purpose="speak", key_id=key_id, digest=digest, actor=actor)
    return b"".join(objects.unseal(sealed_object))


def _spend(*, token: str, purpose: Purpose, key_id: UUID, digest: str, actor: Actor) -> Clearance:
    """Checks and consumes in a committed transaction of its own: no crash after this line gives a second use."""
    cleared = clearances.verify(token, public_key=keys.public_key("gate"), now=timeguard.present())
    if cleared.rehearsal and not settings.REHEARSAL:
        raise ClearanceInvalid("A clearance from a rehearsal is worth nothing outside one.")
    key = VaultKey.objects.get(id=key_id)
    if key.kind != VOICE:
        raise VaultMisuse("This door is for keys of voices.")
    if key.state != KeyState.ACTIVE:
        raise KeyDestroyed
    if (cleared.purpose, str(cleared.voice_id), cleared.digest) != (purpose, key.owner_ref, digest):
        raise ClearanceMismatch
    try:
        # durable: Django refuses (RuntimeError) inside another transaction, whose rollback would give the use back.
        with transaction.atomic(durable=True):
            ClearanceUse.objects.create(
                clearance_id=cleared.id, voice_id=cleared.voice_id, purpose=cleared.purpose, actor=actor.label
            )
            log.record(
                kind="clearance.used",
                subject=f"voice:{cleared.voice_id}",
                actor=actor,
                data={
                    "clearance": str(cleared.id),
                    "purpose": cleared.purpose,
                    "consent": str(cleared.consent_id),
                    "licence": None if cleared.licence_id is None else str(cleared.licence_id),
                    # What was trained on may be named; a hash of what was said could be guessed from a short text.
                    "training_digest": cleared.digest if cleared.purpose == "train" else None,
                    "policy": cleared.policy_version,
                },
                rehearsal=cleared.rehearsal,
            )
    except IntegrityError as error:
        raise ClearanceUsed from error
    return cleared
