"""What the vault refuses."""

from foundation.errors import Gone, NotAllowed, Unavailable, VouchError


class PastDeadline(Gone):
    """The recording's deadline has passed; it can no longer be opened."""

    code = "past_deadline"


class KeyDestroyed(Gone):
    """The key was destroyed; what it sealed cannot be opened any more."""

    code = "key_destroyed"


class ObjectMissing(Gone):
    """The sealed file is not in storage."""

    code = "object_missing"


class Tampered(VouchError):
    """The sealed file, its key or its record was changed."""

    code, status = "tampered", 500


class VaultMisuse(VouchError):
    """The vault was called wrongly."""

    code, status = "vault_misuse", 500


class ClearanceNeeded(NotAllowed):
    """A voice opens only with a clearance."""

    code = "clearance_needed"


class ClearanceInvalid(NotAllowed):
    """This is not a clearance of this platform's gate."""

    code = "clearance_invalid"


class ClearanceExpired(NotAllowed):
    """The clearance has expired."""

    code = "clearance_expired"


class ClearanceUsed(NotAllowed):
    """The clearance was used before; each is good for one act."""

    code = "clearance_used"


class ClearanceMismatch(NotAllowed):
    """The clearance is for another purpose, voice or content."""

    code = "clearance_mismatch"


class KeyMissing(Gone):
    """The key store has no such key: it was lost, or the store is not the one that belongs to this database."""

    code = "key_missing"
    advice = "Look whether VOUCH_KEYSTORE is the right folder and mounted (docs/vault.md)."


class KeyStoreRestored(Unavailable):
    """The key store was put back to an earlier state: keys in it had been destroyed since."""

    code = "keystore_restored"
    advice = "Run `manage.py vault reconcile`: it erases the destroyed keys again (docs/vault.md)."


class StorageFull(Unavailable):
    """There is no room left where the vault keeps its files; nothing was kept of this."""

    code = "storage_full"
    advice = "Try again later; the operator has to make room."


class StorageDown(Unavailable):
    """The place where the vault keeps its files does not answer; nothing was kept of this."""

    code = "storage_down"
    advice = "Try again later."


class WrongMasterKey(VouchError):
    """The vault's key was wrapped by another master key than the one that is configured."""

    code, status = "wrong_master_key", 500
    advice = (
        "Put the right master.key into VOUCH_KEYS, or name the right key in VOUCH_KMS_KEY or VOUCH_KMS_FORMER_KEYS."
    )


class KeyRingRefused(VouchError):
    """The key management service does not let this platform use its master key."""

    code, status = "key_ring_refused", 500
    advice = "Look at the key's state and policy, and at this platform's credentials."


class KeyRingUnavailable(Unavailable):
    """The key management service does not answer, or answers too slowly."""

    code = "key_ring_unavailable"
    advice = "Try again later."


class StorageMisconfigured(VouchError):
    """The bucket is not there, not ours, or its rules are not what the vault needs."""

    code, status = "storage_misconfigured", 500
    advice = "Run `manage.py vault lifecycle` for rules that fit (docs/vault.md)."


class ClockSetBack(Unavailable):
    """The clock of this machine was set back; what has a deadline stays shut until it is right."""

    code = "clock_set_back"
    advice = "Set the clock. If it had been wrong before and is right now: `manage.py vault accept-clock --reason …`."
