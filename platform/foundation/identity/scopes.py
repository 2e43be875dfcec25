"""What an API key or a session may do. A key's scopes can only be a subset of its person's role."""

from typing import Final

MEMBER: Final = frozenset(
    {
        "consent:read",
        "consent:write",
        "voice:read",
        "voice:write",
        "speak",
        "trace",
        "market:read",
        "market:write",
        "report",
    }
)
BY_ROLE: Final[dict[str, frozenset[str]]] = {
    "member": MEMBER,
    "moderator": MEMBER | {"moderate", "desk:read"},
    # The same acts; a senior's word is the second one for what cannot be taken back.
    "senior": MEMBER | {"moderate", "desk:read", "desk:quality"},
    # An auditor reads and never acts.
    "auditor": frozenset({"audit:read", "trace", "market:read", "desk:read", "desk:audit"}),
    "operator": frozenset({"operate", "audit:read", "trace", "desk:read"}),
}
ALL: Final = frozenset().union(*BY_ROLE.values())
