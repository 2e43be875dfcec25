"""Terms sheets: what one licence costs, as the one byte string whose hash stands in the log. Pure.

A licence that was bought has its sheet's hash in the leaf `order.fulfilled`, from the moment it was granted; one that
its owner granted outside the marketplace costs nothing, and its sheet rests on the leaf `licence.granted` alone.
"""

import hashlib
from dataclasses import dataclass
from typing import Any, Final

from foundation.audit import canonical
from marketplace.pricing import GRANTED, PriceProblem, Terms, Unit

_KEYS: Final = frozenset(
    {"v", "licence", "licence_sha256", "order", "unit", "price_minor", "currency", "quantity", "free", "fee_bp"}
)


class BadSheet(ValueError):
    """Not a terms sheet."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """``licence_sha256``: hash (hex) of the log's leaf that grants the licence; ``order``: None outside the shop."""

    licence: str
    licence_sha256: str
    order: str | None
    terms: Terms

    def data(self) -> dict[str, Any]:
        terms = self.terms
        return {
            "v": 1,
            "licence": self.licence,
            "licence_sha256": self.licence_sha256,
            "order": self.order,
            "unit": terms.unit.value,
            "price_minor": terms.price_minor,
            "currency": terms.currency,
            "quantity": terms.quantity,
            "free": terms.free,
            "fee_bp": terms.fee_bp,
        }

    def sha256(self) -> str:
        """Of the canonical form, hex: the sheet's name in the log."""
        return hashlib.sha256(canonical.encode(self.data())).hexdigest()


def read(data: Any) -> Sheet:
    """Raises BadSheet."""
    if not isinstance(data, dict) or data.keys() != _KEYS or type(data["v"]) is not int or data["v"] != 1:
        raise BadSheet("a sheet has other keys")
    words, order = [data[key] for key in ("licence", "licence_sha256", "unit", "currency")], data["order"]
    numbers = [data[key] for key in ("price_minor", "quantity", "free", "fee_bp")]
    if not all(isinstance(word, str) for word in words) or not (order is None or isinstance(order, str)):
        raise BadSheet("a sheet's names are text")
    if not all(type(number) is int for number in numbers):
        raise BadSheet("a sheet's numbers are whole")
    try:
        terms = Terms(
            Unit(data["unit"]), data["price_minor"], data["currency"], data["quantity"], data["free"], data["fee_bp"]
        )
    except (PriceProblem, ValueError) as error:
        raise BadSheet(str(error)) from error
    if order is None and terms != GRANTED:
        raise BadSheet("a licence without an order costs nothing")
    return Sheet(data["licence"], data["licence_sha256"], order, terms)
