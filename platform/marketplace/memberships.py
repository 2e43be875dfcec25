"""Writes: memberships of the platform, ordered by the month. Their seller is the platform itself."""

from django.conf import settings
from django.db import transaction

from cloning import membership
from consent.acts import Act
from foundation.clock import now
from foundation.errors import NotAllowed
from foundation.identity.actors import Actor
from marketplace import services
from marketplace.errors import BadTerms, MembershipNotSold
from marketplace.models import Order
from marketplace.pricing import Unit
from marketplace.states import OrderKind

MAX_MONTHS = 12
"""Months of a membership that one order pays."""


def check_sold() -> None:
    """Raises MembershipNotSold where everybody has the same tier, or no price is set."""
    if settings.VOUCH_TIER != membership.BY_ACCOUNT or not settings.VOUCH_MEMBERSHIP_MINOR:
        raise MembershipNotSold


@transaction.atomic
def order(
    *, actor: Actor, months: int, renews: bool = False, quoted_minor: int | None = None, act: Act | None = None
) -> Order:
    """Orders so many months for the actor, after what they have already; paid as any order.

    Raises NotAllowed, MembershipNotSold, BadTerms, PriceChanged, OrderOpen.
    """
    actor.require_scope("market:write")
    if actor.person_id is None:
        raise NotAllowed("Only a person can be a member.")
    check_sold()
    if not 1 <= months <= MAX_MONTHS:
        raise BadTerms(f"A membership is ordered for 1 to {MAX_MONTHS} months.")
    return services.open_order(
        actor=actor,
        quoted_minor=quoted_minor,
        kind=OrderKind.MEMBERSHIP,
        customer_id=actor.person_id,
        characters=0,
        unit=Unit.MONTH.value,
        quantity=months,
        fee_bp=0,
        price_minor=settings.VOUCH_MEMBERSHIP_MINOR,
        currency=settings.VOUCH_MEMBERSHIP_CURRENCY,
        renews=renews,
        act=act.signed(now()) if act else None,
        rehearsal=False,
    )
