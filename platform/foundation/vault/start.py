"""What must be right before the platform serves anyone; web server and workers ask it when they start."""

from foundation.vault import envelope, erasing, keyring, storage, timeguard
from foundation.vault.errors import Tampered


def check() -> None:
    """The key ring answers, the key store is there and was not put back, storage and its rules are fit, time goes on.

    Raises KeyTrouble, KeyRingRefused, KeyRingUnavailable, WrongMasterKey, KeyStoreRestored, StorageMisconfigured,
    StorageDown, ClockSetBack, Tampered.
    """
    ring, key = keyring.current(), envelope.new_data_key()
    if ring.unwrap(ring.wrap(key, bound_to=b"start"), bound_to=b"start") != key:
        raise Tampered("The key ring gives back another key than it was given.")
    erasing.refuse_restored()
    storage.current().check()
    timeguard.present()


def forget_connections() -> None:
    """Lets go of what must not be shared with child processes."""
    from foundation.vault import kms, s3

    kms.configured_ring.cache_clear()
    s3.checked_bucket.cache_clear()
