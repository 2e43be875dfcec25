"""Writes: statements and rate tables. What a statement says is computed in ``calculation``; here it is read and logged.

A statement is made of uses that never change, so nothing is locked while it is computed: a month's final one closes
the account first, and is computed from what then stands.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.db import IntegrityError, transaction

from cloning import metering, usage_leaf
from cloning.models import UsageAccount
from foundation.audit import log, receipts
from foundation.audit.canonical import NotCanonical
from foundation.clock import now
from foundation.errors import NotAllowed
from foundation.identity.actors import Actor
from marketplace.guards import require_operator
from marketplace.hooks import services as hooks
from marketplace.pricing import PriceProblem, UnknownCurrency, read_rates
from marketplace.statements import document, sources
from marketplace.statements.calculation import Account, Calculation, digest, made
from marketplace.statements.errors import AccountBroken, BadPeriod, BadRates, NothingUsed, RatesFixed, RatesMissing
from marketplace.statements.models import RateTable, Statement

SETTLED: Final = timedelta(hours=1)
"""How long after its end a month is final: what was on its way then has arrived."""
CHUNK: Final = 64 * 1024
"""Bytes of a file that are handed out at a time."""


@dataclass(frozen=True, slots=True)
class _Plan:
    """What a statement is made of. ``uses``, ``charges`` and ``head``: the account as it stood when it was read."""

    account: UsageAccount
    uses: int
    charges: int
    head: bytes
    final: bool
    rates: RateTable | None
    payout: str


def make(*, actor: Actor, period: str, payout_currency: str = "") -> Statement:
    """The statement of the actor's own month so far, or, an hour after the month, its final one.

    Everything is converted into ``payout_currency``, where one is given, by the newest rate table of the month or
    before. Made twice without a new use it is the same statement. Raises NotAllowed, BadPeriod, NothingUsed,
    RatesMissing, AccountBroken.
    """
    actor.require_scope("market:write")
    if actor.person_id is None:
        raise NotAllowed("Only a person has statements.")
    return make_for(actor=actor, owner_id=actor.person_id, period=period, payout_currency=payout_currency)


def make_for(
    *,
    actor: Actor,
    owner_id: UUID,
    period: str,
    payout_currency: str = "",
    progress: Callable[[int], None] = lambda done: None,
) -> Statement:
    """As ``make``, for the system: whose months end without anybody asking. ``progress`` is told now and then how many
    uses are priced."""
    plan = _plan(owner_id, _month(period), payout_currency)
    found = _same(plan)
    if found is not None:
        return found
    adjustments = sources.reversals(owner_id=owner_id, period=period)
    calculation = _calculation(plan, adjustments)
    for use in sources.uses(account=plan.account, below=plan.uses, between=progress):
        calculation.add(use)
    for charge in sources.charges(account=plan.account, count=plan.charges):
        calculation.charge(sources.as_line(charge))
    if (calculation.uses, calculation.head) != (plan.uses, plan.head):
        raise AccountBroken(f"account {plan.account.id}")
    rates = read_rates(plan.rates.table) if plan.rates else None
    try:
        summary = calculation.summary(
            final=plan.final, rates=rates, rates_sha256=plan.rates.sha256 if plan.rates else None, payout=plan.payout
        )
    except UnknownCurrency as error:
        raise RatesMissing(str(error)) from error
    return _keep(plan, summary, [index for index, _, _ in adjustments], actor)


def known(*, owner_id: UUID, period: str, payout_currency: str = "") -> Statement | None:
    """The statement that says already what a new one would. Raises as ``make``."""
    return _same(_plan(owner_id, _month(period), payout_currency))


def file(statement: Statement) -> Iterator[bytes]:
    """The statement's file, in pieces: header, then a line a use. The same bytes each time but for the checkpoint.

    Outside a transaction: it may sign a checkpoint. Raises AccountBroken before the first piece.
    """
    account = statement.account
    charged = sources.charges(account=account, count=_charges(statement))
    sheets = sources.sheets(account=account, below=statement.uses, charged=charged)
    last = sources.last_leaf(account=account, below=statement.uses)
    rates = statement.rates
    wanted = [statement.leaf_index, *(index for _, index in sheets), *statement.adjustments]
    wanted += [last] if last is not None else []
    wanted += [rates.leaf_index] if rates else []
    wanted += [charged[-1].leaf_index] if charged else []
    checkpoint, leaves = receipts.together(wanted)
    yield document.header(
        summary=statement.summary,
        owner_salt=bytes(account.owner.log_salt or b""),
        sheets=[sheet for sheet, _ in sheets],
        rates=rates.table if rates else None,
        checkpoint=checkpoint,
        proofs=document.Proofs(
            statement=leaves[statement.leaf_index],
            last=leaves[last] if last is not None else None,
            rates=leaves[rates.leaf_index] if rates else None,
            terms=[leaves[index] for _, index in sheets],
            adjustments=[leaves[index] for index in statement.adjustments],
            charged=leaves[charged[-1].leaf_index] if charged else None,
        ),
        charges=[sources.as_priced(charge) for charge in charged],
    )
    plan = _Plan(account, statement.uses, len(charged), b"", statement.final, rates, "")
    calculation = _calculation(plan, sources.reversals_at(statement.adjustments, owner_id=account.owner_id))
    piece = bytearray()
    for use in sources.uses(account=account, below=statement.uses):
        piece += calculation.add(use) + b"\n"
        if len(piece) > CHUNK:
            yield bytes(piece)
            piece.clear()
    yield bytes(piece)


@transaction.atomic
def publish_rates(*, actor: Actor, table: dict[str, Any]) -> RateTable:
    """Keeps and logs a day's rate table; the same table again is the same. Raises NotAllowed, BadRates, RatesFixed."""
    if actor.role != "system":
        require_operator(actor)
    try:
        rates = read_rates(table)
        day, sha256 = date.fromisoformat(rates.date), digest(table)
    except (PriceProblem, NotCanonical, ValueError) as error:
        raise BadRates(str(error)) from error
    found = RateTable.objects.filter(date=day).first()
    if found is None:
        leaf = log.append(
            kind="rates.published",
            subject=f"rates:{rates.date}",
            actor=actor,
            data={"date": rates.date, "sha256": sha256, "base": rates.base, "rates": table["rates"]},
        )
        found, _ = RateTable.objects.get_or_create(
            date=day, defaults={"table": table, "sha256": sha256, "leaf_index": leaf.index}
        )
    if found.sha256 != sha256:
        raise RatesFixed
    return found


def rates_on(day: date, currencies: set[str]) -> RateTable:
    """The newest table of the day or before that knows the currencies. Raises RatesMissing."""
    for table in RateTable.objects.filter(date__lte=day).order_by("-date")[:10]:
        known = {table.table["base"], *table.table["rates"]}
        if currencies <= known:
            return table
    raise RatesMissing


def _plan(owner_id: UUID, begin: datetime, payout: str) -> _Plan:
    """Reads the account; closes it when its month is over."""
    period = usage_leaf.period_of(begin)
    end = (begin + timedelta(days=32)).replace(day=1)
    if begin > now():
        raise BadPeriod
    final = now() >= end + SETTLED
    with transaction.atomic():
        account = UsageAccount.objects.select_for_update().filter(owner_id=owner_id, period=period).first()
        if account is None:
            raise NothingUsed
        if final and not account.closed:
            metering.close(account)
        # Charges are booked under the same lock.
        charges = len(sources.charges(account=account))
    rates = None
    if payout:
        day = min(end - timedelta(days=1), now()).date()
        rates = rates_on(day, sources.currencies(account=account) | {payout})
    return _Plan(account, account.uses, charges, bytes(account.head), final, rates, payout)


def _same(plan: _Plan) -> Statement | None:
    """The one that says the same already: a month's final one, or one of as many uses and the same conversion."""
    made_already = Statement.objects.select_related("account", "rates").filter(account=plan.account, final=plan.final)
    if plan.final:
        return made_already.first()
    now_reversed = [index for index, _, _ in sources.reversals(owner_id=plan.account.owner_id, period=_period(plan))]
    for found in made_already.filter(uses=plan.uses, rates=plan.rates).order_by("-made_at"):
        payable = found.summary["payable"]
        same = found.adjustments == now_reversed and _charges(found) == plan.charges
        if same and (payable["currency"] if payable else "") == plan.payout:
            return found
    return None


def _calculation(plan: _Plan, adjustments: list[tuple[int, str, int]]) -> Calculation:
    before = plan.account.before
    account = Account(str(plan.account.owner_id), _period(plan), bytes(before.head) if before else usage_leaf.NO_HEAD)
    charged = sources.charges(account=plan.account, count=plan.charges)
    sheets = [sheet for sheet, _ in sources.sheets(account=plan.account, below=plan.uses, charged=charged)]
    adjusted = [(currency, minor) for _, currency, minor in adjustments]
    return Calculation(account, sheets, adjusted, sources.charged_before(account=plan.account))


def _charges(statement: Statement) -> int:
    """How many charges a statement counts; the first form knew none."""
    return int(statement.summary.get("charges", {}).get("count", 0))


@transaction.atomic
def _keep(plan: _Plan, summary: dict[str, Any], adjustments: list[int], actor: Actor) -> Statement:
    leaf = log.append(
        kind="statement.made",
        subject=f"person:{plan.account.owner_id}",
        actor=actor,
        data=made(summary),
        rehearsal=sources.rehearsal(account=plan.account),
    )
    fields = {
        "uses": plan.uses,
        "summary": summary,
        "adjustments": adjustments,
        "rates": plan.rates,
        "leaf_index": leaf.index,
    }
    if not plan.final:
        return _told(Statement.objects.create(account=plan.account, final=False, **fields))
    try:
        with transaction.atomic():
            return _told(Statement.objects.create(account=plan.account, final=True, **fields))
    except IntegrityError:
        # Somebody else made it meanwhile, of the same closed account: theirs stands, and this leaf says the same.
        return Statement.objects.get(account=plan.account, final=True)


def _told(statement: Statement) -> Statement:
    hooks.tell(
        people=[statement.account.owner_id],
        event="statement.made",
        key=str(statement.id),
        data={"statement": str(statement.id), "period": statement.account.period, "final": statement.final},
    )
    return statement


def _period(plan: _Plan) -> str:
    return str(plan.account.period)


def _month(period: str) -> datetime:
    try:
        return datetime.strptime(period, "%Y-%m").replace(tzinfo=UTC)
    except (ValueError, TypeError) as error:
        raise BadPeriod from error
