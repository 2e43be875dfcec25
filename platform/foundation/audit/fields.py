"""The values that an event's data may have: each its JSON Schema, and the same as a test that costs little. Pure."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Final


@dataclass(frozen=True, slots=True)
class Field:
    """One value of an event's data: its JSON Schema, and the same as a test that costs little.

    A million leaves are checked by ``holds``; that it agrees with ``schema`` is tested against ``jsonschema``.
    ``needed``: an event without it is refused.
    """

    schema: Mapping[str, Any]
    holds: Callable[[Any], bool]
    needed: bool = True


def text(pattern: str | None = None) -> Field:
    """A string; with ``pattern`` one in which that regular expression finds something."""
    if pattern is None:
        return Field({"type": "string"}, lambda value: isinstance(value, str))
    search = re.compile(pattern).search
    return Field({"type": "string", "pattern": pattern}, lambda value: isinstance(value, str) and bool(search(value)))


def or_null(field: Field) -> Field:
    """The same value, or null."""
    schema = {**field.schema, "type": [field.schema["type"], "null"]}
    return Field(schema, lambda value: value is None or field.holds(value))


def maybe(field: Field) -> Field:
    """The same value, where an event may also do without it."""
    return replace(field, needed=False)


def _is_whole(value: Any) -> bool:
    return (isinstance(value, int) and not isinstance(value, bool)) or (isinstance(value, float) and value.is_integer())


WORD: Final = text()
ID: Final = text("^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")
DIGEST: Final = text("^[0-9a-f]{64}$")
TIME: Final = text(r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{6})?\+00:00$")
WHOLE: Final = Field({"type": "integer"}, _is_whole)
COUNT: Final = Field({"type": "integer", "minimum": 0}, lambda value: _is_whole(value) and value >= 0)
NUMBER: Final = Field({"type": "number"}, lambda value: isinstance(value, int | float) and not isinstance(value, bool))
WORDS: Final = Field(
    {"type": "array", "items": {"type": "string"}},
    lambda value: isinstance(value, list) and all(isinstance(item, str) for item in value),
)
LIST: Final = Field({"type": "array"}, lambda value: isinstance(value, list))
FLAG: Final = Field({"type": "boolean"}, lambda value: isinstance(value, bool))
MAP: Final = Field({"type": "object"}, lambda value: isinstance(value, dict))

BY_TYPE: Final[Mapping[type, Field]] = MappingProxyType({str: WORD, int: WHOLE, float: NUMBER, list: LIST, dict: MAP})
ACTOR: Final = text("^(person|system):.{1,150}$")
