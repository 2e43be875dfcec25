"""Writes: the metering record of an output. Lock order: consent, request, job, licence, account, the log."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from cloning import usage_leaf
from cloning.models import MeteredUse, Usage, UsageAccount
from cloning.usage_leaf import UsageLeaf
from foundation.clock import now

SKEW: Final = timedelta(minutes=1)
"""How far a worker's clock may be behind the one that opened a month; its use counts as the month's first moment."""


class OutOfPlace(RuntimeError):
    """The clock stands before a month whose account was opened already: no use may be written into the past."""


@dataclass(frozen=True, slots=True)
class Metered:
    """A use that has its place, under the account's lock: ``commitment`` belongs into the output's leaf."""

    leaf: UsageLeaf
    account: UsageAccount
    at: datetime

    @property
    def commitment(self) -> dict[str, object]:
        return {
            "account": usage_leaf.account(str(self.account.owner_id), self.account.period).hex(),
            "number": self.leaf.number,
            "leaf": usage_leaf.leaf_hash(self.leaf.line()).hex(),
            "head": bytes(self.account.head).hex(),
        }


def meter(*, owner_id: UUID, output_id: UUID, licence_id: UUID | None, characters: int, seconds: float) -> Metered:
    """Gives the output's use its place in the owner's month. Inside the transaction that seals the output.

    The caller has settled the licence's characters before: that row's lock orders the uses under it. From here to the
    commit other uses of this owner wait. Raises OutOfPlace.
    """
    account, at = open_month(owner_id)
    before = MeteredUse.objects.filter(licence_id=licence_id).select_related("usage") if licence_id else None
    last = before.order_by("-uses_before").first() if before is not None else None
    leaf = UsageLeaf(
        number=account.uses,
        output=str(output_id),
        licence=str(licence_id) if licence_id else None,
        at=usage_leaf.moment(at),
        uses_before=last.uses_before + 1 if last else 0,
        characters_before=last.characters_before + last.usage.characters if last else 0,
        milliseconds_before=last.milliseconds_before + last.milliseconds if last else 0,
        characters=characters,
        milliseconds=round(seconds * 1000),
    )
    account.uses += 1
    account.head = usage_leaf.advance(bytes(account.head), usage_leaf.leaf_hash(leaf.line()))
    account.save(update_fields=["uses", "head"])
    return Metered(leaf, account, at)


def write(metered: Metered, *, usage: Usage, leaf_index: int) -> MeteredUse:
    """Keeps the place of ``usage``; ``leaf_index`` is the output's leaf, which carries the commitment."""
    leaf = metered.leaf
    return MeteredUse.objects.create(
        usage=usage,
        account=metered.account,
        number=leaf.number,
        licence_id=usage.licence_id,
        uses_before=leaf.uses_before,
        characters_before=leaf.characters_before,
        milliseconds_before=leaf.milliseconds_before,
        milliseconds=leaf.milliseconds,
        leaf_index=leaf_index,
    )


def close(account: UsageAccount) -> None:
    """For a locked account: no use is written into it any more."""
    account.closed = True
    account.save(update_fields=["closed"])


def open_month(owner_id: UUID) -> tuple[UsageAccount, datetime]:
    """The owner's account of this month, locked and open, and the time of what is written into it. Raises OutOfPlace.

    The time is taken under the lock, so the month's last use and its closing have an order.
    """
    while True:
        period = usage_leaf.period_of(now())
        newest = UsageAccount.objects.filter(owner_id=owner_id).order_by("-period").select_for_update().first()
        if newest is None or newest.period < period:
            newest = _next(owner_id, period, newest)
            if newest is None:
                continue
        begin = datetime.strptime(newest.period, "%Y-%m").replace(tzinfo=UTC)
        at = now()
        if newest.closed or at + SKEW < begin:
            raise OutOfPlace(f"the account of {newest.period} takes no use of {at}")
        at = max(at, begin)
        if usage_leaf.period_of(at) == newest.period:
            return newest, at


def _next(owner_id: UUID, period: str, before: UsageAccount | None) -> UsageAccount | None:
    """Opens the account of ``period``; None when somebody else just did."""
    if before is not None:
        close(before)
    head = usage_leaf.opening(
        usage_leaf.account(str(owner_id), period), bytes(before.head) if before else usage_leaf.NO_HEAD
    )
    made, created = UsageAccount.objects.get_or_create(
        owner_id=owner_id, period=period, defaults={"opened": head, "head": head, "before": before}
    )
    return made if created else None
