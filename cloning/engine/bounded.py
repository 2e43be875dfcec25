"""Frozen dataclasses whose fields carry bounds, and reading them from plain data that somebody else wrote.

A field says `field(metadata=within(low, high))`; tuples are checked number by number. Unknown keys, missing keys, wrong
types and values out of range are a `ConfigError`. Only a field that says `added` may be missing.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from typing import Any, Literal, TypeVar

from cloning.engine.errors import ConfigError

T = TypeVar("T")

#: Beyond every bound of every field; also keeps infinities, NaN and numbers without a float out.
_LARGEST = 1e9


def within(low: float, high: float) -> dict[str, Any]:
    """Field metadata: the inclusive range of the field's number or numbers."""
    return {"within": (low, high)}


def added(low: float, high: float) -> dict[str, Any]:
    """The same, of a field that came when files without it were about: there it has its default."""
    return within(low, high) | {"added": True}


def must(condition: bool, sentence: str) -> None:
    """Raise ConfigError with the sentence unless the condition holds."""
    if not condition:
        raise ConfigError("bad_config", sentence)


def plain(value: Any) -> Any:
    """Tuples to lists, all the way down, as JSON has them."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value


def _numbers(value: Any) -> list[Any]:
    return [number for item in value for number in _numbers(item)] if isinstance(value, tuple) else [value]


def check_values(part: Any) -> None:
    """Ranges from the fields' metadata, so that values given in code and values read from a file meet one rule."""
    for item in dataclasses.fields(part):
        bounds = item.metadata.get("within")
        value = getattr(part, item.name)
        if bounds is not None:
            low, high = bounds
            must(
                all(isinstance(n, int | float) and low <= n <= high for n in _numbers(value)),
                f"{type(part).__name__}.{item.name} is outside {low:g}..{high:g}",
            )


def build(cls: type[T], data: object, where: str) -> T:
    """A dataclass from plain data, nested dataclasses included; `where` names the place in messages. Raises
    ConfigError."""
    if not isinstance(data, dict):
        raise ConfigError("bad_config", f"{where} must be an object")
    hints = typing.get_type_hints(cls)
    fields = {item.name: item for item in dataclasses.fields(typing.cast(Any, cls))}
    unknown = sorted(str(key) for key in data if key not in fields)
    must(not unknown, f"{where} has unknown keys: {', '.join(unknown)[:200]}")
    missing = sorted(name for name, item in fields.items() if name not in data and "added" not in item.metadata)
    must(not missing, f"{where} lacks {', '.join(missing)}")
    return cls(**{name: _value(hints[name], data[name], f"{where}.{name}") for name in fields if name in data})


def _value(hint: Any, value: Any, where: str) -> Any:
    origin = typing.get_origin(hint)
    if dataclasses.is_dataclass(hint):
        return build(typing.cast("type[Any]", hint), value, where)
    if origin is Literal:
        must(
            isinstance(value, str) and value in typing.get_args(hint), f"{where} is not one of {typing.get_args(hint)}"
        )
        return value
    if origin is tuple:
        must(isinstance(value, list) and len(value) <= 16, f"{where} must be a short list")
        return tuple(_value(typing.get_args(hint)[0], item, where) for item in value)
    must(not isinstance(hint, types.GenericAlias), f"{where} has a type that is not supported")
    if hint is float:
        must(isinstance(value, int | float) and not isinstance(value, bool), f"{where} must be a number")
        # Compared, not converted: a whole number of a thousand digits has no float.
        must(-_LARGEST <= value <= _LARGEST, f"{where} is not a usable number")
        return float(value)
    must(isinstance(value, int) and not isinstance(value, bool), f"{where} must be a whole number")
    return value
