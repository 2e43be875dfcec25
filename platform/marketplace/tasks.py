"""Celery tasks of this room. They take ids and may run twice."""

import logging
from collections.abc import Callable
from uuid import UUID

from celery import shared_task

from foundation.errors import VouchError
from marketplace import money, renewals, sending, services, shares
from marketplace.hooks import services as hooks
from marketplace.payments import services as payments
from marketplace.payments.errors import ProviderDown
from marketplace.statements import jobs
from marketplace.states import WrongState

logger = logging.getLogger("marketplace.tasks")


@shared_task(name="marketplace.settle", acks_late=True)
def settle() -> dict[str, int]:
    """Books what owners have earned and releases what waited long enough. Safe to run twice."""
    return money.settle_due()


@shared_task(name="marketplace.periods", acks_late=True)
def periods() -> dict[str, int]:
    """Renews, lapses and gives back what is paid by the month; ends licences whose share is not paid. Safe to run
    twice."""
    return {
        "renewed": renewals.renew_due(),
        "lapsed": renewals.lapse_due(),
        "refunded": renewals.refund_broken(),
        "ended": shares.enforce_due(),
    }


@shared_task(name="marketplace.capture_payment", acks_late=True)
def capture_payment(order_id: str) -> None:
    """Takes what a provider holds for an order. Safe to run twice."""
    _step(payments.capture, order_id)


@shared_task(name="marketplace.void_payment", acks_late=True)
def void_payment(order_id: str) -> None:
    """Lets go of what a provider holds. Safe to run twice."""
    _step(payments.void, order_id)


@shared_task(name="marketplace.refund_payment", acks_late=True)
def refund_payment(order_id: str) -> None:
    """Gives money back at the provider. Safe to run twice."""
    _step(payments.refund, order_id)


@shared_task(name="marketplace.fulfil_order", acks_late=True)
def fulfil_order(order_id: str) -> None:
    """Grants the licence of an order that was paid. Safe to run twice."""
    try:
        services.fulfil(actor=payments.ACTOR, order_id=UUID(order_id))
    except WrongState:
        return
    except VouchError as error:
        # The money is there and the licence is not: an operator refunds it (the order shows as paid).
        payments.note(order_id=UUID(order_id), what=f"not fulfilled: {error.code}")


@shared_task(name="marketplace.recover_payments", acks_late=True)
def recover_payments() -> int:
    """Hands out again what was left undone at a provider. Safe to run twice."""
    found = payments.unfinished()
    for task, order_id in found:
        sending.after_commit(task, str(order_id))
    return len(found)


def _step(step: Callable[..., str], order_id: str) -> None:
    try:
        step(order_id=UUID(order_id))
    except ProviderDown as error:
        logger.warning("provider.down order=%s error=%s", order_id, error.detail)
    except VouchError as error:
        payments.note(order_id=UUID(order_id), what=f"{error.code}: {error.detail}")


@shared_task(name="marketplace.make_statement", acks_late=True)
def make_statement(job_id: str) -> None:
    """Computes the statement of a large month. Safe to run twice."""
    jobs.run(job_id=UUID(job_id))


@shared_task(name="marketplace.recover_statements", acks_late=True)
def recover_statements() -> int:
    """Hands out again the statements that a lost worker or broker has left lying. Safe to run twice."""
    found = jobs.unfinished()
    for job_id in found:
        sending.after_commit(jobs.TASK, str(job_id))
    return len(found)


@shared_task(name="marketplace.deliver_webhook", acks_late=True)
def deliver_webhook(delivery_id: str) -> None:
    """One attempt at one delivery, if it is due. Safe to run twice."""
    hooks.deliver(delivery_id=UUID(delivery_id))


@shared_task(name="marketplace.deliver_webhooks", acks_late=True)
def deliver_webhooks() -> int:
    """Hands out the deliveries whose time has come. Safe to run twice."""
    found = hooks.due()
    for delivery_id in found:
        sending.after_commit("marketplace.deliver_webhook", str(delivery_id))
    return len(found)


@shared_task(name="marketplace.search_sounds", acks_late=True)
def search_sounds(search_id: str) -> None:
    """Compares a clip with the previews in the shop."""
    from marketplace import sounds

    sounds.run(UUID(search_id))


@shared_task(name="marketplace.hear_preview", acks_late=True)
def hear_preview(listing_id: str) -> None:
    """Measures a published preview."""
    from marketplace import sounds

    sounds.hear(UUID(listing_id))


@shared_task(name="marketplace.tidy_sounds", acks_late=True)
def tidy_sounds() -> int:
    """Ends measurements of what left the shop, clips and answers past their time; sends lost work again."""
    from marketplace import sounds

    return sounds.tidy()
