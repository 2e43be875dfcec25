"""What the policy may know beside the text: who asks, in whose voice, by what right, and how it went before."""

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.db.models import Count, Q

from cloning.models import Voice
from consent.models import Licence
from foundation.clock import now
from foundation.identity.models import Person
from safety import strikes
from safety.models import PolicyDecision
from safety.policy.facts import Value
from safety.policy.models import Stage

HISTORY: Final = timedelta(days=30)
HOUR: Final = timedelta(hours=1)


def known(*, voice: Voice, licence: Licence | None, requester_id: UUID) -> dict[str, Value]:
    """Facts by the names of `safety.policy.facts`. Three queries."""
    moment = now()
    since = Person.objects.values_list("created_at", flat=True).get(id=requester_id)
    past = PolicyDecision.objects.filter(
        requester_id=requester_id, stage=Stage.REQUEST, at__gte=moment - HISTORY
    ).aggregate(
        allowed=Count("id", filter=Q(outcome__in=["allow", "allow_with_label"])),
        held=Count("id", filter=Q(outcome="hold")),
        refused=Count("id", filter=Q(outcome="refuse")),
        hour=Count("id", filter=Q(at__gte=moment - HOUR)),
    )
    facts: dict[str, Value] = {
        "requester.account_age_days": _days(since, moment),
        "requester.strikes": strikes.standing(requester_id),
        "requester.requests_last_hour": past["hour"],
        "requester.is_owner": voice.owner_id == requester_id,
        "voice.age_days": _days(voice.created_at, moment),
        "voice.rehearsal": voice.rehearsal,
        "licence.held": licence is not None,
        "history.allowed_30d": past["allowed"],
        "history.held_30d": past["held"],
        "history.refused_30d": past["refused"],
    }
    if licence is not None:
        facts["licence.age_days"] = _days(licence.granted_at, moment)
        left = licence.characters_cap - licence.characters_used - licence.characters_reserved
        facts["licence.characters_left"] = max(left, 0)
    return facts


def _days(since: datetime, moment: datetime) -> int:
    return max((moment - since).days, 0)
