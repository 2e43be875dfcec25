"""Reads: one's own bank account and payouts; batches for operators."""

from django.db.models import Count, QuerySet

from foundation.errors import NotFound
from foundation.identity.actors import Actor
from marketplace.guards import require_operator
from marketplace.payouts.models import Payout, PayoutAccount, PayoutBatch


def account_of(*, actor: Actor) -> PayoutAccount:
    """The actor's own. Raises NotFound."""
    if actor.person_id is None:
        raise NotFound
    found = PayoutAccount.objects.filter(person_id=actor.person_id).first()
    if found is None:
        raise NotFound
    return found


def payouts_of(*, actor: Actor) -> QuerySet[Payout]:
    """What was sent to the actor, newest first."""
    own = Payout.objects.select_related("batch").filter(person__in=[actor.person_id] if actor.person_id else [])
    return own.order_by("-batch__number")


def batches(*, actor: Actor) -> QuerySet[PayoutBatch]:
    """Newest first, each with its number of ``transfers``. Raises NotAllowed."""
    require_operator(actor)
    return PayoutBatch.objects.annotate(transfers=Count("payouts")).order_by("-number")


def batch(*, actor: Actor, number: int) -> PayoutBatch:
    """Raises NotAllowed, NotFound."""
    found = batches(actor=actor).filter(number=number).first()
    if found is None:
        raise NotFound
    return found
