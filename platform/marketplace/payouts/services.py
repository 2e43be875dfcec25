"""Writes: owners' bank accounts, conversion, and payouts. Lock order: the batch's lock, then the ledger's accounts."""

from datetime import date
from typing import Final
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Max

from foundation.audit import log
from foundation.audit.people import commit_for
from foundation.clock import now
from foundation.errors import NotAllowed
from foundation.identity.actors import Actor
from marketplace.guards import require_operator
from marketplace.hooks import services as hooks
from marketplace.ledger import entries
from marketplace.ledger.book import Movement, post, post_all
from marketplace.ledger.entries import MAX_AMOUNT, AccountKind, EntryKind
from marketplace.ledger.errors import NothingToPay
from marketplace.ledger.models import Account, Entry
from marketplace.payouts import errors, files, iban
from marketplace.payouts.models import NAME_CHARS, Payout, PayoutAccount, PayoutBatch
from marketplace.pricing import read_rates
from marketplace.statements.errors import RatesMissing
from marketplace.statements.making import rates_on
from marketplace.states import Currency

LOCK: Final = 0x766F756368_50
"""The advisory lock under which batches are made, one after another ("vouch", P)."""
MIN_MINOR: Final = 1
"""Smallest amount that is sent."""
BATCH: Final = 1_000
"""Transfers in one file."""


@transaction.atomic
def set_account(*, actor: Actor, name: str, account: str, bic: str, currency: str) -> PayoutAccount:
    """Where the actor wants to be paid. Raises NotAllowed, BadAccount."""
    actor.require_scope("market:write")
    if actor.person_id is None:
        raise NotAllowed("Only a person is paid.")
    if not 1 <= len(name.strip()) <= NAME_CHARS or currency not in Currency.values:
        raise errors.BadAccount(f"A name of 1 to {NAME_CHARS} characters, and a currency we pay in.")
    try:
        fields = {"name": name.strip(), "iban": iban.iban(account), "bic": iban.bic(bic), "currency": currency}
    except iban.BadIban as error:
        raise errors.BadAccount(str(error)) from error
    found, _ = PayoutAccount.objects.update_or_create(
        person_id=actor.person_id, defaults={**fields, "changed_at": now()}
    )
    log.record(
        kind="payout.account_set",
        subject=f"person:{actor.person_id}",
        actor=actor,
        data={"account": commit_for(found.iban, person_id=found.person_id), "currency": currency},
    )
    return found


@transaction.atomic
def exchange(*, actor: Actor, person_id: UUID, source: str, target: str, day: date) -> int:
    """Converts all that is payable to a person in ``source`` into ``target``; minor units of ``target`` gained.

    Two entries, one in each currency, by the newest rate table of the day or before; rounded down. Nothing is moved
    when it would come to nothing. Raises NotAllowed, RatesMissing.
    """
    require_operator(actor)
    table = rates_on(day, {source, target})
    holder = f"person:{person_id}"
    payable = Account.objects.filter(kind=AccountKind.PAYABLE, holder=holder, currency=source)
    account = payable.select_for_update().first()
    amount = -account.balance_minor if account is not None else 0
    gained = read_rates(table.table).convert(amount, source, target) if amount else 0
    if not gained or source == target:
        return 0
    count = account.legs.count() if account is not None else 0
    key = f"exchange:{person_id}:{source}:{target}:{table.date}:{count}"
    post_all(
        [
            Movement(f"{key}:sell", EntryKind.EXCHANGE, entries.sell(holder, source, amount)),
            Movement(f"{key}:buy", EntryKind.EXCHANGE, entries.buy(holder, target, gained)),
        ],
        actor=actor,
    )
    return gained


@transaction.atomic
def change_money(
    *, actor: Actor, sold_minor: int, sold: str, bought_minor: int, bought: str, reference: str
) -> list[Entry]:
    """An operator records that the bank changed our own money. ``reference``, the bank's, is booked once.

    What the bank's rate differs from the table's stays on the exchange accounts, where anybody can see it.
    Raises NotAllowed, BadExchange, NotEnough, KeyReused.
    """
    require_operator(actor)
    known = sold in Currency.values and bought in Currency.values and sold != bought
    if not known or not 0 < sold_minor <= MAX_AMOUNT or not 0 < bought_minor <= MAX_AMOUNT or not reference.strip():
        raise errors.BadExchange
    key = f"change:{reference.strip()}"[:110]
    movements = [
        Movement(f"{key}:sold", EntryKind.EXCHANGE, entries.send(sold, sold_minor)),
        Movement(f"{key}:bought", EntryKind.EXCHANGE, entries.receive(bought, bought_minor)),
    ]
    return post_all(movements, actor=actor)


@transaction.atomic
def make_batch(*, actor: Actor) -> PayoutBatch:
    """Books a payout to everybody who has a bank account and something payable: the transfers of one file.

    What is payable in other currencies is converted first, where a rate table has them. Whoever is owed more of a
    currency than lies at the provider waits (``change_money`` brings it). Raises NotAllowed, PayerUnknown,
    NothingToPay.
    """
    require_operator(actor)
    payer()
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
    number = (PayoutBatch.objects.aggregate(last=Max("number"))["last"] or 0) + 1
    rows: list[Payout] = []
    for account in _payable():
        _gather(account, actor)
        amount = _owed(account)
        if not MIN_MINOR <= amount <= _funds(account.currency):
            continue
        reference = f"VOUCH-{number}-{len(rows) + 1}"
        legs = entries.payout(f"person:{account.person_id}", account.currency, amount)
        key = f"payout:{account.person_id}:{account.currency}:{reference}"
        rows.append(
            Payout(
                entry=post(Movement(key, EntryKind.PAYOUT, legs), actor=actor),
                person_id=account.person_id,
                reference=reference,
                name=account.name,
                iban=account.iban,
                bic=account.bic,
                amount_minor=amount,
                currency=account.currency,
            )
        )
    if not rows:
        raise NothingToPay
    return _keep(number, rows, actor)


def transfers(batch: PayoutBatch) -> list[files.Transfer]:
    """What the file of a batch says, in its order."""
    return [
        files.Transfer(
            one.reference,
            files.Party(one.name, one.iban, one.bic),
            one.amount_minor,
            one.currency,
            f"Vouch payout {one.reference}",
        )
        for one in batch.payouts.order_by("id")
    ]


def as_pain_001(batch: PayoutBatch) -> bytes:
    """Raises PayerUnknown."""
    return files.pain_001(f"VOUCH-{batch.number}", payer(), transfers(batch), batch.made_at)


def payer() -> files.Party:
    """The account this deployment pays from. Raises PayerUnknown."""
    if not settings.VOUCH_PAYER_NAME or not settings.VOUCH_PAYER_IBAN:
        raise errors.PayerUnknown
    return files.Party(settings.VOUCH_PAYER_NAME, settings.VOUCH_PAYER_IBAN, settings.VOUCH_PAYER_BIC)


def _owed(account: PayoutAccount) -> int:
    """What is payable to its person in the account's currency, locked."""
    owed = Account.objects.filter(
        kind=AccountKind.PAYABLE, holder=f"person:{account.person_id}", currency=account.currency
    )
    return -(owed.select_for_update().values_list("balance_minor", flat=True).first() or 0)


def _funds(currency: str) -> int:
    """What lies at the provider in a currency, locked."""
    found = Account.objects.filter(kind=AccountKind.CLEARING, holder="vouch", currency=currency)
    return found.select_for_update().values_list("balance_minor", flat=True).first() or 0


def _payable() -> list[PayoutAccount]:
    owed = Account.objects.filter(kind=AccountKind.PAYABLE, balance_minor__lt=0).values_list("holder", flat=True)
    people = [holder.removeprefix("person:") for holder in owed]
    return list(PayoutAccount.objects.filter(person_id__in=people).order_by("person_id")[:BATCH])


def _gather(account: PayoutAccount, actor: Actor) -> None:
    """Converts what is payable in other currencies, as far as a rate table goes; the rest stays where it is."""
    others = Account.objects.filter(
        kind=AccountKind.PAYABLE, holder=f"person:{account.person_id}", balance_minor__lt=0
    ).exclude(currency=account.currency)
    for currency in others.order_by("currency").values_list("currency", flat=True):
        try:
            exchange(
                actor=actor, person_id=account.person_id, source=currency, target=account.currency, day=now().date()
            )
        except RatesMissing:
            continue


def _keep(number: int, rows: list[Payout], actor: Actor) -> PayoutBatch:
    leaf = log.append(
        kind="payout.batch",
        subject=f"payouts:{number}",
        actor=actor,
        data={"transfers": len(rows), "entries": [str(one.entry_id) for one in rows[:100]]},
    )
    batch = PayoutBatch.objects.create(number=number, leaf_index=leaf.index)
    for row in rows:
        row.batch = batch
    Payout.objects.bulk_create(rows)
    for row in rows:
        hooks.tell(
            people=[row.person_id],
            event="payout.sent",
            key=row.reference,
            data={"reference": row.reference, "amount_minor": row.amount_minor, "currency": row.currency},
        )
    return batch
