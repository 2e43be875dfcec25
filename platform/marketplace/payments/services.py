"""Writes: paying an order at a provider. Lock order: as `services` (listing, order), then the payment.

No lock is held while a provider is asked. What it says comes as events, each acted on once, in whatever order and
however often it is delivered; what we ask of it are tasks that carry ids and look again before they ask.
"""

import hashlib
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Final, TypeVar
from uuid import UUID

from django.db import transaction
from django.db.models import Q

from foundation.audit import log
from foundation.clock import now
from foundation.errors import NotFound, VouchError
from foundation.identity.actors import Actor
from marketplace import money, services
from marketplace.guards import locked_order
from marketplace.models import Order
from marketplace.payments import errors
from marketplace.payments.models import Payment, PaymentState, ProviderEvent
from marketplace.payments.provider import (
    Charge,
    Event,
    EventKind,
    NotSigned,
    Provider,
    ProviderRefused,
    ProviderTrouble,
)
from marketplace.payments.registry import provider
from marketplace.sending import after_commit
from marketplace.states import OrderState

ACTOR: Final = Actor.system("payments")
PATIENCE: Final = timedelta(hours=1)
"""How long a step that the provider refused rests before it is tried once more."""
Answer = TypeVar("Answer")


def begin(*, actor: Actor, order_id: UUID) -> Payment:
    """Prepares the payment of the actor's own open order at the provider; the same again when asked again.

    Raises NotAllowed, NotFound, NothingDue, PaymentsOff, ProviderDown, ProviderDeclined.
    """
    actor.require_scope("market:write")
    order = Order.objects.filter(id=order_id, customer_id=actor.person_id).first()
    if order is None or actor.person_id is None:
        raise NotFound
    if order.state != OrderState.PLACED or order.amount_minor == 0:
        raise errors.NothingDue
    chosen = provider()
    charge = charge_of(order)
    begun = _ask(lambda: chosen.begin(charge))
    with transaction.atomic():
        order = locked_order(order_id)
        if order.state != OrderState.PLACED:
            raise errors.NothingDue
        made, _ = Payment.objects.get_or_create(
            order=order, defaults={"provider": chosen.name, "reference": begun.reference, "token": begun.token}
        )
    return made


def receive(*, name: str, body: bytes, headers: Mapping[str, str]) -> str:
    """A provider's webhook: verified, kept, and acted on once; the outcome. Safe to deliver again, and out of order.

    Raises PaymentsOff, EventNotSigned, EventChanged, UnknownPayment, PaymentMismatch, and OrderBusy and such for an
    event that cannot be acted on now: the provider then sends it again.
    """
    chosen = provider(name)
    try:
        event = chosen.read(body, headers)
    except NotSigned as error:
        raise errors.EventNotSigned(str(error)) from error
    digest = hashlib.sha256(body).hexdigest()
    with transaction.atomic():
        kept, new = ProviderEvent.objects.get_or_create(
            provider=name,
            event=event.id[:120],
            defaults={"kind": event.kind.value, "body_sha256": digest, "outcome": "taken"},
        )
        if not new:
            return _again(kept, digest)
        outcome, refusal = _act(name, event, kept)
        kept.outcome = outcome
        kept.save(update_fields=["outcome", "order"])
    if refusal is not None:
        raise refusal
    return outcome


def _again(kept: ProviderEvent, digest: str) -> str:
    """An event that came before: the same answer, and nothing is done."""
    if kept.body_sha256 != digest:
        raise errors.EventChanged
    for refusal in (errors.UnknownPayment, errors.PaymentMismatch):
        if kept.outcome == refusal.code:
            raise refusal
    return "seen"


def _act(name: str, event: Event, kept: ProviderEvent) -> tuple[str, VouchError | None]:
    """What comes of a new event. A refusal that is final is kept with it; any other raises, and nothing is kept."""
    if event.kind == EventKind.OTHER:
        return "ignored", None
    found = Payment.objects.filter(provider=name, reference=event.reference).first()
    if found is None:
        return errors.UnknownPayment.code, errors.UnknownPayment()
    order = locked_order(found.order_id)
    payment = Payment.objects.select_for_update().get(id=found.id)
    kept.order = order
    if not _fits(event, order):
        log.record(
            kind="payment.mismatch",
            subject=f"order:{order.id}",
            actor=ACTOR,
            data={
                "said": f"{event.amount_minor} {event.currency}"[:40],
                "due": f"{order.amount_minor} {order.currency}",
            },
        )
        return errors.PaymentMismatch.code, errors.PaymentMismatch()
    return _STEPS[event.kind](order, payment), None


def _fits(event: Event, order: Order) -> bool:
    """A dispute may be about a part; everything else is about the whole order, in its currency."""
    if event.currency != order.currency:
        return False
    if event.kind in (EventKind.DISPUTED, EventKind.DISPUTE_WON, EventKind.DISPUTE_LOST):
        return 0 < event.amount_minor <= order.amount_minor
    return event.amount_minor == order.amount_minor


# -- what each event means, for a locked order and payment -------------------------------------------------------------
def _held(order: Order, payment: Payment) -> str:
    if payment.state != PaymentState.BEGUN:
        return "late"
    _move(payment, PaymentState.HELD)
    if order.state != OrderState.PLACED:
        after_commit("marketplace.void_payment", str(order.id))
        return "void"
    after_commit("marketplace.capture_payment", str(order.id))
    return "held"


def _captured(order: Order, payment: Payment) -> str:
    if payment.state in (PaymentState.CAPTURED, PaymentState.REFUNDED):
        return "late"
    _move(payment, PaymentState.CAPTURED)
    if order.state == OrderState.CANCELLED:
        # Taken although the order was cancelled meanwhile: all of it goes back.
        payment.refund_minor = order.amount_minor
        payment.save(update_fields=["refund_minor"])
        after_commit("marketplace.refund_payment", str(order.id))
        return "refund"
    if order.state == OrderState.PLACED:
        services.pay_placed(order, reference=payment.reference, actor=ACTOR)
        after_commit("marketplace.fulfil_order", str(order.id))
        return "paid"
    return "late"


def _failed(order: Order, payment: Payment) -> str:
    _note(payment, "the customer's payment failed")
    return "failed"


def _voided(order: Order, payment: Payment) -> str:
    if payment.state not in (PaymentState.BEGUN, PaymentState.HELD):
        return "late"
    _move(payment, PaymentState.VOIDED)
    if order.state == OrderState.PLACED:
        services.cancel_placed(order, actor=ACTOR)
    return "voided"


def _refunded(order: Order, payment: Payment) -> str:
    _move(payment, PaymentState.REFUNDED)
    return "refunded"


def _disputed(order: Order, payment: Payment) -> str:
    if order.disputed_at is not None or order.state not in (OrderState.PAID, OrderState.FULFILLED):
        return "late"
    money.open_dispute(actor=ACTOR, order_id=order.id)
    return "disputed"


def _dispute_won(order: Order, payment: Payment) -> str:
    if order.disputed_at is None:
        return "late"
    money.close_dispute(actor=ACTOR, order_id=order.id, lost=False)
    return "dispute_won"


def _dispute_lost(order: Order, payment: Payment) -> str:
    """The provider has taken the money back itself: nothing is refunded there once more."""
    if order.disputed_at is None:
        return "late"
    money.close_dispute(actor=ACTOR, order_id=order.id, lost=True)
    return "dispute_lost"


_STEPS: Final[Mapping[EventKind, Callable[[Order, Payment], str]]] = {
    EventKind.HELD: _held,
    EventKind.CAPTURED: _captured,
    EventKind.FAILED: _failed,
    EventKind.VOIDED: _voided,
    EventKind.REFUNDED: _refunded,
    EventKind.DISPUTED: _disputed,
    EventKind.DISPUTE_WON: _dispute_won,
    EventKind.DISPUTE_LOST: _dispute_lost,
}


# -- what we ask of the provider: tasks, safe to run twice -------------------------------------------------------------
def capture(*, order_id: UUID) -> str:
    """Takes the money that is held, if the licence can still be granted; lets it go and cancels the order otherwise."""
    order, payment = _both(order_id)
    if payment.state != PaymentState.HELD or order.state != OrderState.PLACED:
        return "late"
    try:
        services.check_still_on_offer(order)
    except VouchError as error:
        with transaction.atomic():
            order = locked_order(order_id)
            if order.state == OrderState.PLACED:
                services.cancel_placed(order, actor=ACTOR)
            _note(payment, f"cancelled: {error.code}")
        return void(order_id=order_id)
    _ask(lambda: _at(payment).capture(payment.reference, charge_of(order)))
    with transaction.atomic():
        order = locked_order(order_id)
        payment = Payment.objects.select_for_update().get(id=payment.id)
        return _captured(order, payment)


def void(*, order_id: UUID) -> str:
    """Lets go of what is held for an order that is cancelled, or was paid in another way."""
    order, payment = _both(order_id)
    if payment.state not in (PaymentState.BEGUN, PaymentState.HELD) or order.state == OrderState.PLACED:
        return "late"
    _ask(lambda: _at(payment).void(payment.reference, charge_of(order)))
    with transaction.atomic():
        locked_order(order_id)
        return _voided(order, Payment.objects.select_for_update().get(id=payment.id))


def refund(*, order_id: UUID) -> str:
    """Gives back at the provider what the ledger refunded; the provider does the same refund once."""
    order, payment = _both(order_id)
    if payment.state != PaymentState.CAPTURED or not payment.refund_minor:
        return "late"
    _ask(lambda: _at(payment).refund(payment.reference, charge_of(order), payment.refund_minor))
    with transaction.atomic():
        locked_order(order_id)
        return _refunded(order, Payment.objects.select_for_update().get(id=payment.id))


def refund_order(*, actor: Actor, order_id: UUID) -> Order:
    """``money.refund``, and the same amount back at the provider that took it. Raises as ``money.refund``."""
    with transaction.atomic():
        order = money.refund(actor=actor, order_id=order_id)
        payment = Payment.objects.select_for_update().filter(order=order, state=PaymentState.CAPTURED).first()
        if payment is not None and order.refunded_minor:
            payment.refund_minor = order.refunded_minor
            payment.save(update_fields=["refund_minor"])
            after_commit("marketplace.refund_payment", str(order.id))
    return order


def unfinished() -> list[tuple[str, UUID]]:
    """Tasks that a lost broker or a provider's bad hour has left undone: (name, order). Beat hands them out again."""
    resting = Q(error="") | Q(changed_at__lt=now() - PATIENCE)
    payments = Payment.objects.filter(resting).order_by("changed_at")
    waiting = Q(state=PaymentState.HELD) | Q(state=PaymentState.BEGUN)
    placed = Q(order__state=OrderState.PLACED)
    due = {
        "marketplace.capture_payment": payments.filter(placed, state=PaymentState.HELD),
        "marketplace.void_payment": payments.filter(waiting & ~placed),
        "marketplace.refund_payment": payments.filter(state=PaymentState.CAPTURED, refund_minor__gt=0),
        "marketplace.fulfil_order": payments.filter(state=PaymentState.CAPTURED, order__state=OrderState.PAID),
    }
    return [
        (name, order_id) for name, rows in due.items() for order_id in rows.values_list("order_id", flat=True)[:100]
    ]


def note(*, order_id: UUID, what: str) -> None:
    """Keeps why a step failed; it rests a while then."""
    for payment in Payment.objects.filter(order_id=order_id):
        _note(payment, what)


def charge_of(order: Order) -> Charge:
    return Charge(order.id, order.amount_minor, order.currency)


# -- shared -----------------------------------------------------------------------------------------------------------
def _both(order_id: UUID) -> tuple[Order, Payment]:
    payment = Payment.objects.select_related("order").filter(order_id=order_id).first()
    if payment is None:
        raise NotFound
    return payment.order, payment


def _at(payment: Payment) -> Provider:
    return provider(payment.provider)


def _move(payment: Payment, state: PaymentState) -> None:
    payment.state, payment.changed_at, payment.error = state, now(), ""
    payment.save(update_fields=["state", "changed_at", "error"])


def _note(payment: Payment, what: str) -> None:
    payment.error, payment.changed_at = what[:200], now()
    payment.save(update_fields=["error", "changed_at"])


def _ask(call: Callable[[], Answer]) -> Answer:
    try:
        return call()
    except ProviderTrouble as error:
        raise errors.ProviderDown(str(error)) from error
    except ProviderRefused as error:
        raise errors.ProviderDeclined(str(error)) from error
