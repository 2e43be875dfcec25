"""Who wraps the vault's data keys. The local keyring uses ``master.key``; a key management service is another class
with the same two methods."""

from typing import Protocol

from foundation import keys
from foundation.vault import envelope


class Keyring(Protocol):
    """Wraps and unwraps 32-byte data keys. ``bound_to`` must be the same both times."""

    def wrap(self, data_key: bytes, *, bound_to: bytes) -> bytes: ...

    def unwrap(self, wrapped: bytes, *, bound_to: bytes) -> bytes:
        """Raises envelope.BrokenSeal."""
        ...


class LocalKeyring:
    """Wraps under the 32-byte master key of this host."""

    def __init__(self, master: bytes) -> None:
        self._master = master

    def wrap(self, data_key: bytes, *, bound_to: bytes) -> bytes:
        return envelope.wrap(self._master, data_key, bound_to=bound_to)

    def unwrap(self, wrapped: bytes, *, bound_to: bytes) -> bytes:
        return envelope.unwrap(self._master, wrapped, bound_to=bound_to)


def current() -> Keyring:
    """The deployment's keyring. Raises keys.KeyTrouble."""
    return LocalKeyring(keys.secret("master"))
