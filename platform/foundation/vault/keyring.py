"""Who wraps the keys in the key store: a master key on this host, or one that never leaves AWS KMS.

A wrapped key begins with one byte for its kind and eight that name the master key it is under, so the wrong master is
told from a damaged key, and what a rotation has still to do can be seen without opening anything.
"""

from collections.abc import Sequence
from hashlib import sha256
from typing import Protocol

from django.conf import settings

from foundation.keys import KeyFiles
from foundation.vault import envelope
from foundation.vault.errors import WrongMasterKey

LOCAL, KMS = b"\x02", b"\x03"
"""First byte of what each ring makes. ``\\x01`` is a local ring's of before, which did not name its master."""

NAME_SIZE = 8


class Keyring(Protocol):
    """Wraps and unwraps 32-byte keys. ``bound_to`` must be the same both times."""

    def wrap(self, key: bytes, *, bound_to: bytes) -> bytes: ...

    def unwrap(self, wrapped: bytes, *, bound_to: bytes) -> bytes:
        """Raises envelope.BrokenSeal, WrongMasterKey, KeyRingRefused, KeyRingUnavailable."""
        ...

    def is_current(self, wrapped: bytes) -> bool:
        """Whether it is under the master key that wraps now."""
        ...


class LocalKeyring:
    """Wraps under the first of the masters (32 bytes each), unwraps under any of them."""

    def __init__(self, masters: Sequence[bytes]) -> None:
        self._masters = {_name(master): master for master in masters}
        self._now = next(iter(self._masters))

    def wrap(self, key: bytes, *, bound_to: bytes) -> bytes:
        head = LOCAL + self._now
        return head + envelope.wrap(self._masters[self._now], key, bound_to=head + bound_to)

    def unwrap(self, wrapped: bytes, *, bound_to: bytes) -> bytes:
        if wrapped[:1] != LOCAL:
            return self._unwrap_nameless(wrapped, bound_to)
        head, sealed = wrapped[: 1 + NAME_SIZE], wrapped[1 + NAME_SIZE :]
        master = self._masters.get(head[1:])
        if master is None:
            raise WrongMasterKey
        return envelope.unwrap(master, sealed, bound_to=head + bound_to)

    def is_current(self, wrapped: bytes) -> bool:
        return wrapped.startswith(LOCAL + self._now)

    def _unwrap_nameless(self, wrapped: bytes, bound_to: bytes) -> bytes:
        for master in self._masters.values():
            try:
                return envelope.unwrap(master, wrapped, bound_to=bound_to)
            except envelope.BrokenSeal:
                continue
        raise envelope.BrokenSeal("the wrapped key does not open")


class _AfterLocal:
    """A KMS ring that still opens what the local master key wrapped, until ``rotate_keys master`` has been run."""

    def __init__(self, kms: Keyring) -> None:
        self._kms = kms

    def wrap(self, key: bytes, *, bound_to: bytes) -> bytes:
        return self._kms.wrap(key, bound_to=bound_to)

    def unwrap(self, wrapped: bytes, *, bound_to: bytes) -> bytes:
        ring = self._kms if wrapped[:1] == KMS else _local()
        return ring.unwrap(wrapped, bound_to=bound_to)

    def is_current(self, wrapped: bytes) -> bool:
        return self._kms.is_current(wrapped)


def current() -> Keyring:
    """The deployment's keyring. Raises keys.KeyTrouble, KeyRingRefused, KeyRingUnavailable."""
    if not settings.VOUCH_KMS_KEY:
        return _local()
    # Only here: a platform without KMS needs none of boto3's memory in its web workers.
    from foundation.vault import kms

    return _AfterLocal(kms.configured())


def _local() -> LocalKeyring:
    return LocalKeyring(KeyFiles(settings.VOUCH_KEYS).in_use("master"))


def _name(master: bytes) -> bytes:
    """Names a master key and says nothing about it that would help to guess it."""
    return sha256(b"vouch master key name v1\n" + master).digest()[:NAME_SIZE]
