"""Writes: what orders and uses mean in the ledger. Lock order: order, licence, accounts.

Earnings are booked from the licence's counter, by the rounding rule of `pricing`: whatever is booked when, the sum is
what the statement says. Each service may run twice and books once.
"""

from datetime import timedelta
from typing import Final
from uuid import UUID

from django.db import transaction

from cloning import membership
from cloning.models import MeteredUse
from consent import licences
from consent.models import Licence
from foundation.audit import log
from foundation.clock import now
from foundation.identity.actors import Actor
from marketplace import charging, states
from marketplace.errors import OrderBusy, WrongDispute
from marketplace.guards import locked_order, require_operator
from marketplace.ledger import entries, selectors
from marketplace.ledger.book import Movement, post, post_all
from marketplace.ledger.entries import AccountKind, EntryKind
from marketplace.ledger.errors import NothingToPay
from marketplace.ledger.models import Account, Entry
from marketplace.models import Order
from marketplace.pricing import BY_USE, Unit
from marketplace.statements.sources import terms_of
from marketplace.states import OrderState
from marketplace.telling import tell_order
from safety.services import open_case
from safety.states import CaseKind, SubjectKind

HOLDBACK: Final = timedelta(days=14)
"""How long earnings wait before they can be paid out: a customer who was charged wrongly has spoken up by then."""
BATCH: Final = 500
"""Orders and entries that one round of ``settle_due`` takes, each in its own transaction."""


# -- called by `services` inside the order's own transaction ----------------------------------------------------------
def hold(order: Order, *, actor: Actor) -> None:
    """Sets the price of a placed order aside. A free order has no entry: no money moves."""
    if order.amount_minor:
        legs = entries.reserve(_order(order), order.currency, order.amount_minor)
        post(Movement(f"reserve:{order.id}", EntryKind.RESERVE, legs, order.id), actor=actor)


def let_go(order: Order, *, actor: Actor) -> None:
    """Ends the hold of an order that is cancelled."""
    if order.amount_minor:
        legs = entries.void(_order(order), order.currency, order.amount_minor)
        post(Movement(f"void:{order.id}", EntryKind.VOID, legs, order.id), actor=actor)


def capture(order: Order, *, actor: Actor) -> None:
    """The money of a held order arrived."""
    if order.amount_minor:
        legs = entries.capture(_order(order), order.currency, order.amount_minor)
        post(Movement(f"capture:{order.id}", EntryKind.CAPTURE, legs, order.id), actor=actor)


# -- as characters are used and time passes ---------------------------------------------------------------------------
def settle_due() -> dict[str, int]:
    """Books what was earned since the last round and releases what waited long enough. Safe to run twice, and beside
    itself. Returns how many entries of each kind it booked."""
    done = {"earn": 0, "release": 0}
    sold = Order.objects.filter(state=OrderState.FULFILLED, disputed_at__isnull=True, fully_earned=False)
    used = sold.filter(unit__in=BY_USE, amount_minor__gt=0, licence__characters_used__gt=0)
    over = sold.filter(charge_at__lte=now())
    for order_id in [
        *used.order_by("settled_at").values_list("id", flat=True)[:BATCH],
        *over.order_by("charge_at").values_list("id", flat=True)[:BATCH],
    ]:
        done["earn"] += accrue(order_id=order_id) is not None
    due = selectors.owed_earnings().filter(
        at__lte=now() - HOLDBACK, order__disputed_at__isnull=True, order__seller__isnull=False
    )
    for entry_id in due.values_list("id", flat=True)[:BATCH]:
        done["release"] += release(entry_id=entry_id) is not None
    return done


@transaction.atomic
def accrue(*, order_id: UUID) -> Entry | None:
    """Books what the owner has earned of an order and is not booked yet; None when there is nothing."""
    order = Order.objects.select_for_update(of=("self",)).get(id=order_id)
    if order.state != OrderState.FULFILLED or order.disputed_at is not None:
        return None
    return _accrue(order, order.licence)


def _accrue(order: Order, licence: Licence | None) -> Entry | None:
    """For a locked order."""
    if order.unit not in BY_USE:
        return charging.collect(order, licence)
    if licence is None:
        return None
    terms = terms_of(order)
    booked = order.amount_minor - _prepaid(order)
    whole = terms.gross(_used(order, licence))
    amount = whole - booked
    entry = None
    if amount:
        fee = terms.fee(whole) - terms.fee(booked)
        legs = entries.earn(_order(order), f"person:{order.seller_id}", order.currency, amount, fee)
        movement = Movement(f"earn:{order.id}:{whole}", EntryKind.EARN, legs, order.id)
        entry = post(movement, actor=Actor.system("marketplace"))
    order.settled_at, order.fully_earned = now(), whole == order.amount_minor
    order.save(update_fields=["settled_at", "fully_earned"])
    return entry


@transaction.atomic
def release(*, entry_id: UUID) -> Entry | None:
    """Makes one booked earning payable, when its holdback is over and nobody disputes the order."""
    order_id = Entry.objects.filter(id=entry_id, kind=EntryKind.EARN).values_list("order_id", flat=True).get()
    order = Order.objects.select_for_update(of=("self",)).get(id=order_id)
    earn = Entry.objects.get(id=entry_id)
    if order.disputed_at is not None or now() - earn.at < HOLDBACK or Entry.objects.filter(settles=earn).exists():
        return None
    amount, fee = _earned(earn)
    legs = entries.release(f"person:{order.seller_id}", order.currency, amount - fee)
    movement = Movement(f"settle:{earn.id}", EntryKind.RELEASE, legs, order.id, settles=earn)
    return post(movement, actor=Actor.system("marketplace"))


# -- what operators do ------------------------------------------------------------------------------------------------
@transaction.atomic
def refund(*, actor: Actor, order_id: UUID) -> Order:
    """Gives back what was not used, or the months that are not over; what was earned stays. Ends the licence.

    Raises NotAllowed, NotFound, WrongState, OrderBusy (a text of this licence is being spoken), WrongDispute.
    """
    require_operator(actor)
    order = locked_order(order_id)
    if order.disputed_at is not None:
        raise WrongDispute("The order is disputed: close the dispute instead.")
    states.require(states.ORDER, order.state, OrderState.REFUNDED)
    licence = _idle_licence(order)
    due: list[charging.Due] = []
    if order.unit not in BY_USE:
        due = charging.earn(order, licence)[1] if order.state == OrderState.FULFILLED else []
    elif licence is not None:
        _accrue(order, licence)
    _give_back(order, licence, [], actor)
    charging.write(order, due)
    return order


@transaction.atomic
def open_dispute(*, actor: Actor, order_id: UUID) -> Order:
    """The customer's bank or the customer disputes the payment: nothing of it is earned or released from now on.

    Raises NotAllowed, NotFound, WrongDispute (open already, or the order was not paid).
    """
    require_operator(actor)
    order = locked_order(order_id)
    if order.disputed_at is not None or order.state not in (OrderState.PAID, OrderState.FULFILLED):
        raise WrongDispute
    order.disputed_at = now()
    order.save(update_fields=["disputed_at"])
    _log(order, "order.disputed", actor)
    tell_order(order, "order.disputed", f":{order.disputed_at.timestamp():.0f}")
    if order.licence_id is not None:
        open_case(
            actor=actor,
            kind=CaseKind.LICENCE,
            severity=1,
            subject_kind=SubjectKind.LICENCE,
            subject_ref=str(order.licence_id),
            rule="order.disputed",
            clause="licence.dispute",
        )
    return order


@transaction.atomic
def close_dispute(*, actor: Actor, order_id: UUID, lost: bool) -> Order:
    """Won: everything goes on. Lost: what is not released yet goes back to the customer, and the licence ends.

    What was released before the dispute stays with the owner. Raises NotAllowed, NotFound, WrongDispute, OrderBusy.
    """
    require_operator(actor)
    order = locked_order(order_id)
    if order.disputed_at is None:
        raise WrongDispute
    licence = _idle_licence(order) if lost else None
    tell_order(order, "order.dispute_closed", f":{order.disputed_at.timestamp():.0f}")
    order.disputed_at = None
    order.save(update_fields=["disputed_at"])
    if lost:
        states.require(states.ORDER, order.state, OrderState.REFUNDED)
        _give_back(order, licence, list(selectors.owed_earnings().filter(order=order)), actor)
    else:
        _log(order, "order.dispute_won", actor)
    return order


@transaction.atomic
def pay_out(*, actor: Actor, person_id: UUID, currency: str, reference: str) -> Entry:
    """An operator has sent everything payable to its owner. ``reference``, the bank's, is booked once.

    Raises NotAllowed, NothingToPay, KeyReused.
    """
    require_operator(actor)
    holder = f"person:{person_id}"
    account = Account.objects.filter(kind=AccountKind.PAYABLE, holder=holder, currency=currency)
    payable = account.select_for_update().first()
    key = f"payout:{person_id}:{currency}:{reference.strip()}"[:120]
    done = Entry.objects.filter(key=key).first()
    if done is not None:
        return done
    if payable is None or payable.balance_minor == 0:
        raise NothingToPay
    legs = entries.payout(holder, currency, -payable.balance_minor)
    return post(Movement(key, EntryKind.PAYOUT, legs), actor=actor)


# -- shared -----------------------------------------------------------------------------------------------------------
def _give_back(order: Order, licence: Licence | None, earns: list[Entry], actor: Actor) -> None:
    """Reverses ``earns``, refunds all that is prepaid then, ends the licence. For a locked order and licence."""
    owner = f"person:{order.seller_id}"
    movements = [
        Movement(
            f"settle:{earn.id}",
            EntryKind.REVERSE,
            entries.reverse(_order(order), owner, order.currency, *_earned(earn)),
            order.id,
            settles=earn,
        )
        for earn in earns
    ]
    rest = _prepaid(order) + sum(_earned(earn)[0] for earn in earns)
    if rest:
        legs = entries.refund(_order(order), order.currency, rest)
        movements.append(Movement(f"refund:{order.id}", EntryKind.REFUND, legs, order.id))
    post_all(movements, actor=actor)
    if licence is not None and licence.state == "active":
        licences.end(licence=licence, reason="refunded", actor=actor)
    if order.membership is not None:
        membership.end(membership=order.membership, reason="refunded", actor=actor)
    order.state, order.refunded_minor, order.refunded_at = OrderState.REFUNDED, rest, now()
    order.renews = False
    order.save(update_fields=["state", "refunded_minor", "refunded_at", "renews"])
    _log(order, "order.refunded", actor)
    tell_order(order, "order.refunded")


def _idle_licence(order: Order) -> Licence | None:
    """The order's licence, locked, with no text under way: what is being spoken now will be used a moment later."""
    if order.licence_id is None:
        return None
    licence = Licence.objects.select_for_update(of=("self",)).get(id=order.licence_id)
    if licence.characters_reserved:
        raise OrderBusy
    return licence


def _prepaid(order: Order) -> int:
    """Minor units paid and neither earned nor refunded."""
    return -selectors.balance(kind=AccountKind.PREPAID, holder=_order(order), currency=order.currency)


def _used(order: Order, licence: Licence) -> int:
    """What was used under the licence, in what the order's unit counts."""
    if order.unit == Unit.CHARACTER:
        return licence.characters_used
    last = MeteredUse.objects.filter(licence=licence).order_by("-uses_before").first()
    if last is None:
        return 0
    return last.uses_before + 1 if order.unit == Unit.OUTPUT else last.milliseconds_before + last.milliseconds


def _earned(earn: Entry) -> tuple[int, int]:
    """What left the order by an entry of kind earn, and the platform's part of it, in minor units."""
    legs = {leg.account.kind: leg.amount_minor for leg in earn.legs.select_related("account")}
    return legs[AccountKind.PREPAID], -legs.get(AccountKind.FEES, 0)


def _order(order: Order) -> str:
    return f"order:{order.id}"


def _log(order: Order, kind: str, actor: Actor) -> None:
    log.record(
        kind=kind,
        subject=f"order:{order.id}",
        actor=actor,
        data={"refunded_minor": order.refunded_minor, "currency": order.currency},
        rehearsal=order.rehearsal,
    )
