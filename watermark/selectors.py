"""Reading the registry."""

from __future__ import annotations

from collections.abc import Iterable

from watermark.models import CURRENT_EPOCH, IssuedMark


def issued_payloads(*, epoch: int = CURRENT_EPOCH) -> list[int]:
    """All payloads of an epoch, rehearsals included: a mark is a mark."""
    return list(IssuedMark.objects.filter(epoch=epoch).values_list("payload", flat=True))


def mark_positions(output_refs: Iterable[str]) -> list[int]:
    """Places of these outputs' marks in the registry (1 and more), in order: what their status entries rest on."""
    return sorted(IssuedMark.objects.filter(output_ref__in=list(output_refs)).values_list("id", flat=True))


def last_mark_position() -> int:
    """The last place taken in the registry, 0 when it is empty."""
    return IssuedMark.objects.order_by("-id").values_list("id", flat=True).first() or 0


def output_ref_for(payload: int) -> str | None:
    """The output that carries ``payload``, or None when it was never issued."""
    return IssuedMark.objects.filter(payload=payload).values_list("output_ref", flat=True).first()


def output_refs_for(payloads: Iterable[int]) -> dict[int, str]:
    """The outputs of several payloads; unknown ones are left out."""
    return dict(IssuedMark.objects.filter(payload__in=list(payloads)).values_list("payload", "output_ref"))
