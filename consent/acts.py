"""The person's own act behind a record: through which signed-in session or API key it was done. Pure."""

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

SESSION, KEY, COMMAND = "session", "key", "command"
MEANS: Final = (SESSION, KEY, COMMAND)
_DOMAIN: Final = b"vouch act v1\x00"


@dataclass(frozen=True, slots=True)
class Act:
    """``means``: session, key or command. ``reference``: the session's or key's secret, which is never written down.

    ``signed_in_at``: when the person proved who they are to open the session; None for keys.
    """

    means: str
    reference: str
    signed_in_at: datetime | None = None

    def __post_init__(self) -> None:
        if self.means not in MEANS or not self.reference:
            raise ValueError("an act is done through a session, a key or a command, and names which")

    def signed(self, moment: datetime) -> dict[str, Any]:
        """The same with a salt of its own beside it: a signature that stands in somebody else's record."""
        salt = secrets.token_hex(32)
        return {**self.statement(salt, moment), "salt": salt}

    def statement(self, salt: str, moment: datetime) -> dict[str, Any]:
        """What the record keeps: HMAC-SHA-256 of the reference under the record's own salt (hex), and the times."""
        digest = hmac.new(bytes.fromhex(salt), _DOMAIN + self.reference.encode(), hashlib.sha256).hexdigest()
        return {
            "means": self.means,
            "sha256": digest,
            "signed_in_at": self.signed_in_at.isoformat() if self.signed_in_at else None,
            "at": moment.isoformat(),
        }
