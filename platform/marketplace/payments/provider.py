"""What a payment provider does for an order, whoever it is. Pure.

A provider **holds** the customer's money, **captures** it when the licence is sure, **voids** the hold otherwise, and
**refunds**. What it says later comes as signed events. Every call carries a key: made twice it is done once.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol
from uuid import UUID


class EventKind(StrEnum):
    """What an event says of a payment; ``OTHER`` is kept and changes nothing."""

    HELD = "held"
    CAPTURED = "captured"
    FAILED = "failed"
    VOIDED = "voided"
    REFUNDED = "refunded"
    DISPUTED = "disputed"
    DISPUTE_WON = "dispute_won"
    DISPUTE_LOST = "dispute_lost"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Charge:
    """``amount_minor`` of ``currency`` for one order."""

    order_id: UUID
    amount_minor: int
    currency: str


@dataclass(frozen=True, slots=True)
class Begun:
    """``reference``: the provider's name of the payment. ``token``: what the customer's browser needs to pay it."""

    reference: str
    token: str


@dataclass(frozen=True, slots=True)
class Event:
    """``amount_minor`` and ``currency`` as the provider states them; they are compared with the order's own."""

    id: str
    kind: EventKind
    reference: str
    amount_minor: int
    currency: str


class ProviderTrouble(Exception):
    """The provider could not be reached or answered with an error; trying again later is safe."""


class ProviderRefused(Exception):
    """The provider will not do that, now or later."""


class NotSigned(ValueError):
    """The event does not come from the provider, is too old, or is no event."""


class Provider(Protocol):
    """Amounts are minor units. Each call may raise ProviderTrouble and ProviderRefused."""

    name: str

    def begin(self, charge: Charge) -> Begun:
        """Prepares a payment that is held first, not taken."""

    def capture(self, reference: str, charge: Charge) -> None:
        """Takes what is held."""

    def void(self, reference: str, charge: Charge) -> None:
        """Lets go of what is held."""

    def refund(self, reference: str, charge: Charge, amount_minor: int) -> None:
        """Gives back ``amount_minor`` of what was taken."""

    def read(self, body: bytes, headers: Mapping[str, str]) -> Event:
        """The event in a webhook's body. Raises NotSigned."""
