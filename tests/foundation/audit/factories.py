"""Events for tests that are about the log and not about an act."""

from typing import Any

from foundation.audit import events

ID = "01234567-89ab-cdef-0123-456789abcdef"
EXAMPLES: tuple[Any, ...] = (
    "", "text", ID, ID.upper(), f"{ID}\n", "0" * 64, "0" * 63, "2026-01-01T00:00:00+00:00", "2026-01-01",
    0, 3, -1, 1.0, 1.5, -2.0, True, None, [], ["a"], [1], {}, {"a": 1},
)  # fmt: skip
"""A value for every field of every kind, and some that fit none."""


def example(kind: str, version: int = 0, **stated: Any) -> dict[str, Any]:
    """``stated``, completed to what an event of this kind (and version; the last if 0) has to state."""
    fields = events.EVENTS[kind].versions[version - 1]
    needed = {name: field for name, field in fields.items() if field.needed and name not in stated}
    return {**{name: next(one for one in EXAMPLES if field.holds(one)) for name, field in needed.items()}, **stated}
