"""Writes: what is paid by the month goes on: the next order, its lapse when it is not paid, and months broken off.

Nobody's card is kept: a renewal is an order like the first one, placed a week before the paid time ends and paid by the
customer. Unpaid it lapses, and the licence or membership has ended by its own term before that. Each step is for one
order, in its own transaction, and safe to run twice. Lock order: listing, order.
"""

from datetime import timedelta
from typing import Final
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q

from foundation.clock import now
from foundation.errors import NotFound, VouchError
from foundation.identity.actors import Actor
from marketplace import charging, memberships, rules, services
from marketplace.errors import NotRenewable
from marketplace.guards import locked_order
from marketplace.models import Listing, Order
from marketplace.payments import services as payments
from marketplace.payments.models import Payment
from marketplace.pricing import Unit
from marketplace.sending import after_commit
from marketplace.states import OrderKind, OrderState
from marketplace.telling import tell_order

ACTOR: Final = Actor.system("marketplace")
AHEAD: Final = timedelta(days=7)
"""How long before the end of the paid time the next order is placed."""
GRACE: Final = timedelta(days=3)
"""How long after it that order can still be paid."""
BATCH: Final = 500


@transaction.atomic
def set_renewal(*, actor: Actor, order_id: UUID, renews: bool) -> Order:
    """The customer lets an order by the month go on, or end with what is paid; an unpaid next order ends with it.

    Raises NotAllowed, NotFound, NotRenewable, BadTerms.
    """
    actor.require_scope("market:write")
    order = Order.objects.select_for_update(of=("self",)).filter(id=order_id, customer_id=actor.person_id).first()
    if order is None or actor.person_id is None:
        raise NotFound
    if order.unit != Unit.MONTH or order.state != OrderState.FULFILLED or order.ends_at is None:
        raise NotRenewable
    if order.ends_at <= now():
        raise NotRenewable("The paid time is over: order again.")
    if order.listing is not None:
        rules.check_renewal(order.listing, renews)
    order.renews = renews
    order.save(update_fields=["renews"])
    if not renews:
        for follower in Order.objects.select_for_update(of=("self",)).filter(follows=order, state=OrderState.PLACED):
            _let_go(follower)
    return order


def renew_due() -> int:
    """Places the next order of what ends within a week. Returns how many it placed."""
    ending = Order.objects.filter(state=OrderState.FULFILLED, renews=True, ends_at__lte=now() + AHEAD)
    open_ended = ending.filter(disputed_at=None, customer__is_active=True).order_by("ends_at")
    return sum(_renew(order_id) for order_id in list(open_ended.values_list("id", flat=True)[:BATCH]))


def _renew(order_id: UUID) -> bool:
    try:
        with transaction.atomic():
            listing_id = Order.objects.values_list("listing_id", flat=True).get(id=order_id)
            Listing.objects.select_for_update(of=("self",)).filter(id=listing_id).first()
            former = locked_order(order_id)
            if not former.renews or former.state != OrderState.FULFILLED or former.ends_at is None:
                return False
            if former.followers.exclude(state=OrderState.CANCELLED).exists():
                return False
            _next_of(former)
            # It is the next order now that goes on or not.
            former.renews = False
            former.save(update_fields=["renews"])
            return True
    except VouchError as error:
        with transaction.atomic():
            former = locked_order(order_id)
            former.renews = False
            former.save(update_fields=["renews"])
            tell_order(former, "order.not_renewed", f":{error.code}")
        return False


def _next_of(former: Order) -> Order:
    """Raises what an order of the same thing would be refused for, and PriceChanged."""
    listing, ends_at = former.listing, former.ends_at or now()
    quantity = max(1, former.quantity)
    if listing is None:
        memberships.check_sold()
        price, currency = settings.VOUCH_MEMBERSHIP_MINOR, settings.VOUCH_MEMBERSHIP_CURRENCY
    else:
        rules.check_offer(listing, former.customer_id)
        licence = former.licence
        if licence is None or licence.state != "active" or charging.over_at(former, licence) < ends_at:
            raise NotRenewable("The licence ends before the paid time does.")
        rules.check_term(listing.voice.consent, ends_at - now() + charging.MONTH * quantity)
        price, currency = listing.price_minor, listing.currency
    return services.open_order(
        actor=ACTOR,
        # A renewal never costs another amount than the customer signed.
        quoted_minor=quantity * former.price_minor if currency == former.currency else -1,
        kind=former.kind,
        listing=listing,
        follows=former,
        customer_id=former.customer_id,
        seller_id=former.seller_id,
        characters=former.characters,
        unit=former.unit,
        quantity=quantity,
        price_minor=price,
        currency=currency,
        renews=True,
        due_at=ends_at + GRACE,
        act=former.act,
        rehearsal=former.rehearsal,
    )


def lapse_due() -> int:
    """Ends renewals that nobody paid in time. Returns how many."""
    late = Order.objects.filter(state=OrderState.PLACED, due_at__lte=now()).exclude(kind=OrderKind.BILL)
    ended = 0
    for order_id in list(late.values_list("id", flat=True)[:BATCH]):
        with transaction.atomic():
            order = locked_order(order_id)
            if order.state == OrderState.PLACED:
                _let_go(order)
                ended += 1
    return ended


def _let_go(order: Order) -> None:
    services.cancel_placed(order, actor=ACTOR)
    if Payment.objects.filter(order=order).exists():
        after_commit("marketplace.void_payment", str(order.id))


def refund_broken() -> int:
    """Gives back the months of licences that ended before their time, by whomever but the customer: the months that
    were over stay earned. Returns how many orders."""
    paid = Order.objects.filter(state=OrderState.FULFILLED, unit=Unit.MONTH.value, fully_earned=False, disputed_at=None)
    ended = Q(licence__ended_at__lt=F("ends_at")) & ~Q(licence__ended_reason=charging.GIVEN_UP)
    broken = paid.filter(ended, licence__characters_reserved=0)
    done = 0
    for order_id in list(broken.values_list("id", flat=True)[:BATCH]):
        try:
            payments.refund_order(actor=ACTOR, order_id=order_id)
            done += 1
        except VouchError:
            continue  # a text is being spoken, or a dispute was opened: the next round looks again
    return done
