"""Who is a member, at which rates a person's outputs are delivered, and the free quota of those who are not.

``VOUCH_TIER`` says whom that concerns: ``member`` and ``free`` hold for everybody, ``accounts`` asks each person's own
membership. A trial is begun here; a paid membership is what the marketplace's order brings.
Lock order: consent, request, job, licence, quota, the log.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import F

from cloning import errors
from cloning.account_models import Membership, MembershipKind, Quota
from foundation.audit import log
from foundation.clock import now
from foundation.errors import NotAllowed
from foundation.identity.actors import Actor
from foundation.identity.models import Person

FREE: Final = "free"
MEMBER: Final = "member"
BY_ACCOUNT: Final = "accounts"
RATES: Final = {FREE: (24_000,), MEMBER: (32_000, 48_000)}
"""Rates in Hz at which each tier's outputs are delivered; the first is its default."""


@dataclass(frozen=True, slots=True)
class Allowance:
    """What a person has of the free quota this month, in characters. ``cap`` None: no bound."""

    cap: int | None
    taken: int
    renewed_at: datetime

    @property
    def left(self) -> int | None:
        return None if self.cap is None else max(0, self.cap - self.taken)


# -- who is a member --------------------------------------------------------------------------------------------------
def tier_of(person_id: UUID | None) -> str:
    """``free`` or ``member``, now. Nobody in particular is no member, where accounts have memberships."""
    if settings.VOUCH_TIER != BY_ACCOUNT:
        return str(settings.VOUCH_TIER)
    return MEMBER if person_id is not None and current(person_id) is not None else FREE


def current(person_id: UUID) -> Membership | None:
    """The membership that holds now; of several the one that lasts longest."""
    moment = now()
    standing = Membership.objects.filter(person_id=person_id, ended_at=None, begins_at__lte=moment, ends_at__gt=moment)
    return standing.order_by("-ends_at").first()


def covered_until(person_id: UUID) -> datetime | None:
    """Until when the person's memberships last in all, those that have not begun included; None without any."""
    standing = Membership.objects.filter(person_id=person_id, ended_at=None, ends_at__gt=now())
    last: Membership | None = standing.order_by("-ends_at").first()
    return last.ends_at if last else None


def trial_left(person_id: UUID) -> int:
    """Days of a trial that the person may begin; 0 when they had it, or where none is given."""
    had = Membership.objects.filter(person_id=person_id, kind=MembershipKind.TRIAL.value).exists()
    return 0 if had or settings.VOUCH_TIER != BY_ACCOUNT else int(settings.VOUCH_TRIAL_DAYS)


@transaction.atomic
def begin_trial(*, actor: Actor) -> Membership:
    """The actor's free trial begins: once in an account's life. Raises NotAllowed, TrialOver, MemberAlready."""
    actor.require_scope("market:write")
    if actor.person_id is None:
        raise NotAllowed("Only a person can be a member.")
    if settings.VOUCH_TIER != BY_ACCOUNT or not settings.VOUCH_TRIAL_DAYS:
        raise errors.TrialOver("No trial is given here.")
    Person.objects.select_for_update(of=("self",)).get(id=actor.person_id)
    if current(actor.person_id) is not None:
        raise errors.MemberAlready
    moment = now()
    try:
        with transaction.atomic():
            return _begin(
                actor.person_id, MembershipKind.TRIAL, moment, moment + timedelta(days=settings.VOUCH_TRIAL_DAYS), actor
            )
    except IntegrityError as error:
        raise errors.TrialOver from error


@transaction.atomic
def grant(*, person_id: UUID, days: int, actor: Actor) -> Membership:
    """A paid membership of so many days, after what the person has already. For the marketplace."""
    Person.objects.select_for_update(of=("self",)).get(id=person_id)
    begins = max(now(), covered_until(person_id) or now())
    return _begin(person_id, MembershipKind.PAID, begins, begins + timedelta(days=days), actor)


@transaction.atomic
def end(*, membership: Membership, reason: str, actor: Actor) -> None:
    """Ends a membership before its term. Safe to repeat."""
    found = Membership.objects.select_for_update(of=("self",)).get(id=membership.id)
    if found.ended_at is None and found.ends_at > now():
        found.ended_at = now()
        found.save(update_fields=["ended_at"])
        log.record(kind="membership.ended", subject=f"membership:{found.id}", actor=actor, data={"reason": reason})


def _begin(person_id: UUID, kind: MembershipKind, begins: datetime, ends: datetime, actor: Actor) -> Membership:
    made = Membership.objects.create(person_id=person_id, kind=kind.value, begins_at=begins, ends_at=ends)
    log.record(
        kind="membership.begun",
        subject=f"membership:{made.id}",
        actor=actor,
        data={"is": kind.value, "from": _moment(begins), "until": _moment(ends)},
    )
    return made


def _moment(at: datetime) -> str:
    return at.isoformat(timespec="microseconds")


def check_delivery(rate: int, *, person_id: UUID) -> None:
    """Whether an output may be sealed at a rate (Hz) that was right when it was asked for. Raises RateUnknown."""
    tier = tier_of(person_id)
    if rate > max(RATES[tier]):
        raise errors.RateUnknown(f"{rate} Hz are for members, and the membership has ended.", tier=tier)


# -- the free quota ---------------------------------------------------------------------------------------------------
def allowance(person_id: UUID) -> Allowance:
    """What the person has of this month's free quota. Members, and everybody where there is none, have no bound."""
    cap = settings.VOUCH_FREE_CHARACTERS if tier_of(person_id) == FREE else 0
    row = Quota.objects.filter(person_id=person_id, period=_period()).first()
    taken = row.used + row.reserved if row else 0
    return Allowance(cap or None, taken, _next_month())


def refusal(person_id: UUID, characters: int) -> errors.QuotaUsed | None:
    """Why so many more characters of the person's own voices are not free this month; None when they are."""
    found = allowance(person_id)
    if found.cap is None or found.taken + characters <= found.cap:
        return None
    need = "" if found.taken >= found.cap else f"; this text needs {_grouped(characters)}"
    return errors.QuotaUsed(
        f"quota: {_grouped(found.taken)} of {_grouped(found.cap)} characters used this month{need}",
        clause="quota.characters",
        renewed_at=found.renewed_at.isoformat(),
    )


def reserve(*, person_id: UUID, characters: int) -> Quota | None:
    """Sets characters of this month aside; None for whoever has no bound. Raises QuotaUsed."""
    cap = allowance(person_id).cap
    if cap is None:
        return None
    row, _ = Quota.objects.get_or_create(person_id=person_id, period=_period())
    # One conditional UPDATE: however many ask at once, never a character over.
    if not Quota.objects.filter(pk=row.pk, used__lte=cap - characters - F("reserved")).update(
        reserved=F("reserved") + characters
    ):
        raise refusal(person_id, characters) or errors.QuotaUsed()
    return row


def settle(*, quota_id: int, reserved: int, used: int) -> None:
    """Turns what was set aside into use; with ``used`` 0 it is given back."""
    Quota.objects.filter(pk=quota_id).update(reserved=F("reserved") - reserved, used=F("used") + used)


def _period() -> str:
    return now().astimezone(UTC).strftime("%Y-%m")


def _next_month() -> datetime:
    begin = now().astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return (begin + timedelta(days=32)).replace(day=1)


def _grouped(number: int) -> str:
    return f"{number:,}".replace(",", " ")
