"""Reads: what a statement is computed from, out of the database."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from django.db import connection
from django.db.models import Q, QuerySet

from cloning.models import MeteredUse, UsageAccount
from cloning.usage_leaf import moment
from consent.models import Licence
from foundation.audit.models import Leaf
from marketplace.ledger.entries import AccountKind, EntryKind
from marketplace.ledger.models import Entry, Leg
from marketplace.models import Order
from marketplace.pricing import GRANTED, Terms, Unit
from marketplace.statements import models
from marketplace.statements.calculation import Charged, Use
from marketplace.statements.charges import Charge, opening
from marketplace.statements.sheets import Sheet

# The database spells the lines (`cloning.usage_leaf`): twice as fast as Python, beside it on the other core. Their
# hashes are compared with those that were made when the outputs were sealed, so no other spelling passes.
_LINES: Final = """
COPY (
    SELECT '[' || m.number || ',"' || u.output_id || '",' || coalesce('"' || u.licence_id || '"', 'null') || ',"'
        || to_char(u.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US') || '+00:00",' || m.uses_before || ','
        || m.characters_before || ',' || m.milliseconds_before || ',' || u.characters || ',' || m.milliseconds || ']',
        coalesce(u.licence_id::text, ''), m.uses_before, m.characters_before, m.milliseconds_before, u.characters,
        m.milliseconds
    FROM cloning_metereduse m JOIN cloning_usage u ON u.id = m.usage_id
    WHERE m.account_id = %s AND m.number >= %s AND m.number < %s ORDER BY m.number
) TO STDOUT"""


STEP: Final = 1 << 16
"""Uses that are read at a time."""


def uses(*, account: UsageAccount, below: int, between: Callable[[int], None] = lambda done: None) -> Iterator[Use]:
    """The account's uses in the order of their numbers, in constant memory. ``between`` two portions it is told how
    many were handed out: only then is the connection free for anything else."""
    for begin in range(0, below, STEP):
        between(begin)
        bounds = [account.pk, begin, min(begin + STEP, below)]
        with connection.cursor() as cursor, cursor.copy(_LINES, bounds) as rows:
            for row in rows:  # libpq hands out one row at a time
                line, licence, *counts = bytes(row).split(b"\t")
                yield Use(line, licence.decode() or None, *map(int, counts))


def charges(*, account: UsageAccount, count: int | None = None) -> list[models.Charge]:
    """The account's charges in the order of their numbers; with ``count`` the first so many."""
    return list(models.Charge.objects.filter(account=account).order_by("number")[:count])


def charged_before(*, account: UsageAccount) -> Charged:
    """The owner's charges before the account's month."""
    earlier = models.Charge.objects.filter(owner_id=account.owner_id, account__period__lt=account.period)
    last = earlier.order_by("-number").first()
    return Charged(last.number + 1, bytes(last.head)) if last else Charged(0, opening(str(account.owner_id)))


def as_line(charge: models.Charge) -> Charge:
    """As `statements.charges` spells it."""
    return Charge(charge.number, str(charge.licence_id), moment(charge.at), charge.about, charge.before, charge.count)


def as_priced(charge: models.Charge) -> bytes:
    """Its line with its amounts, as a statement's header has it."""
    return b"%b,%d,%d]" % (as_line(charge).line()[:-1], charge.gross, charge.fee)


def sheets(*, account: UsageAccount, below: int, charged: Iterable[models.Charge] = ()) -> list[tuple[Sheet, int]]:
    """The terms of every licence used or charged, by licence, each with the index of the leaf that it rests on."""
    used = _lines(account, below).filter(licence__isnull=False).values("licence").distinct()
    priced = Q(id__in=used) | Q(id__in={charge.licence_id for charge in charged})
    licences = {licence.id: licence for licence in Licence.objects.filter(priced)}
    hashes = _hashes([licence.leaf_index for licence in licences.values()])
    orders = {order.licence_id: order for order in Order.objects.filter(licence__in=licences)}
    found = []
    for licence_id in sorted(licences, key=str):
        licence, order = licences[licence_id], orders.get(licence_id)
        sheet = _sheet(order, licence, hashes)
        place = order.leaf_index if order is not None else licence.leaf_index
        found.append((sheet, -1 if place is None else place))
    return found


def sheet_of(order: Order, licence: Licence) -> Sheet:
    """The terms of a licence that an order brings."""
    return _sheet(order, licence, _hashes([licence.leaf_index]))


def _sheet(order: Order | None, licence: Licence, hashes: dict[int, str]) -> Sheet:
    return Sheet(str(licence.id), hashes[licence.leaf_index], str(order.id) if order else None, terms_of(order))


def _hashes(indices: Sequence[int]) -> dict[int, str]:
    rows = Leaf.objects.filter(index__in=indices).values_list("index", "leaf_hash")
    return {index: bytes(value).hex() for index, value in rows}


def terms_of(order: Order | None) -> Terms:
    """What a licence costs; one that its owner granted outside the marketplace costs nothing."""
    if order is None:
        return GRANTED
    return Terms(Unit(order.unit), order.price_minor, order.currency, order.quantity, order.free, order.fee_bp)


def currencies(*, account: UsageAccount) -> set[str]:
    """Those the account's uses and charges are priced in."""
    used = account.lines.filter(licence__isnull=False).values("licence").distinct()
    charged = models.Charge.objects.filter(account=account).values("licence")
    priced = Order.objects.filter(Q(licence__in=used) | Q(licence__in=charged))
    return set(priced.values_list("currency", flat=True))


def last_leaf(*, account: UsageAccount, below: int) -> int | None:
    """Where the leaf of the last use's output stands in the log; None without uses."""
    return _lines(account, below).order_by("-number").values_list("leaf_index", flat=True).first()


def rehearsal(*, account: UsageAccount) -> bool:
    """Whether any of the account's uses was made in a rehearsal, or charged in one."""
    charged = models.Charge.objects.filter(account=account, order__rehearsal=True)
    return charged.exists() or account.lines.filter(usage__output__rehearsal=True).exists()


def reversals(*, owner_id: UUID, period: str) -> list[tuple[int, str, int]]:
    """What disputes took back from an owner in a month, in the log's order: (leaf, currency, minor units)."""
    begin = datetime.strptime(period, "%Y-%m").replace(tzinfo=UTC)
    end = (begin + timedelta(days=32)).replace(day=1)
    booked = Entry.objects.filter(kind=EntryKind.REVERSE, order__seller_id=owner_id, leaf_index__isnull=False)
    within = Leaf.objects.filter(
        index__in=list(booked.values_list("leaf_index", flat=True)), created_at__gte=begin, created_at__lt=end
    )
    return reversals_at(list(within.values_list("index", flat=True)), owner_id=owner_id)


def reversals_at(indices: Sequence[int], *, owner_id: UUID) -> list[tuple[int, str, int]]:
    """Those whose leaves stand at ``indices``, in the log's order."""
    own = Leg.objects.filter(
        entry__leaf_index__in=indices, account__kind=AccountKind.HOLDBACK, account__holder=f"person:{owner_id}"
    )
    rows = own.order_by("entry__leaf_index").values_list("entry__leaf_index", "account__currency", "amount_minor")
    return [(int(index or 0), currency, amount) for index, currency, amount in rows]


def _lines(account: UsageAccount, below: int) -> QuerySet[MeteredUse]:
    return account.lines.filter(number__lt=below)
