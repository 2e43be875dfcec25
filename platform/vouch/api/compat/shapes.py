"""Refusals in the shape of other services: their clients show one sentence, and know no ``fields``."""

from collections.abc import Iterator, Mapping
from typing import Any


def sentence(said: Mapping[str, Any]) -> str:
    """A problem's detail, each field that is wrong with its reason, and the advice."""
    return " ".join(part for part in (said["detail"], *_reasons(said.get("fields") or {}), said["advice"]) if part)


def _reasons(fields: Any, name: str = "") -> Iterator[str]:
    if isinstance(fields, Mapping):
        for inner, told in fields.items():
            yield from _reasons(told, f"{name}.{inner}" if name else str(inner))
    elif isinstance(fields, list | tuple):
        for told in fields:
            yield from _reasons(told, name)
    else:
        yield f"{name}: {fields}" if name else str(fields)
