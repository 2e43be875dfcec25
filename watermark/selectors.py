"""Reading the registry."""

from __future__ import annotations

import threading
from collections.abc import Iterable

from watermark.codec.fingerprint import VERSION
from watermark.codec.index import IssuedIndex
from watermark.models import CURRENT_EPOCH, IssuedMark, MarkRecord

#: Fingerprints up to which a search compares them all to make its short list; above that it goes without one.
LISTABLE = 20_000


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


def fingerprints_for(payloads: Iterable[int]) -> dict[int, bytes]:
    """Fingerprints of the outputs with these payloads; those without a record of this version are left out."""
    rows = MarkRecord.objects.filter(mark__payload__in=list(payloads), fingerprint_version=VERSION)
    return {payload: bytes(data) for payload, data in rows.values_list("mark__payload", "fingerprint")}


def fingerprints_of(output_refs: Iterable[str]) -> dict[str, bytes]:
    """Fingerprints by output; those without a record of this version are left out."""
    rows = MarkRecord.objects.filter(mark__output_ref__in=list(output_refs), fingerprint_version=VERSION)
    return {ref: bytes(data) for ref, data in rows.values_list("mark__output_ref", "fingerprint")}


def all_fingerprints(*, epoch: int = CURRENT_EPOCH) -> dict[int, bytes]:
    """Every fingerprint of an epoch by payload, or none when there are more than LISTABLE."""
    rows = MarkRecord.objects.filter(mark__epoch=epoch, fingerprint_version=VERSION)
    if rows.count() > LISTABLE:
        return {}
    return {payload: bytes(data) for payload, data in rows.values_list("mark__payload", "fingerprint")}


class _Grown:
    """The index of an epoch, kept by the process and grown by what was issued since."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._index = IssuedIndex()
        self._last = 0

    def current(self, epoch: int) -> IssuedIndex:
        rows = IssuedMark.objects.filter(epoch=epoch)
        with self._lock:
            if rows.filter(id__lte=self._last).count() != len(self._index):
                # A row with a lower number was committed later, or this is another database: begin anew.
                self._index, self._last = IssuedIndex(), 0
            new = list(rows.filter(id__gt=self._last).order_by("id").values_list("id", "payload"))
            if new:
                self._index.append(payload for _, payload in new)
                self._last = new[-1][0]
            return self._index


_indexes: dict[int, _Grown] = {}


def issued_index(*, epoch: int = CURRENT_EPOCH) -> IssuedIndex:
    """All payloads of an epoch as a search wants them; the process keeps them and asks only for new ones."""
    return _indexes.setdefault(epoch, _Grown()).current(epoch)
