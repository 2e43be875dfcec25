"""Acts on a consent that reach into several rooms: what would end, withdrawal, renewal. Each is one transaction.

No room may know the one above it, so what crosses them upwards is put together here.
"""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Count

from cloning.models import Job, Output, Voice
from cloning.renewals import carry_voices
from cloning.services import cancel_jobs_for_consent, destroy_voices_for_consent
from cloning.states import OPEN_JOB_STATES, JobState, OutputState, VoiceState
from consent import renewal, selectors, services
from consent.consequences import Consequence
from consent.models import Consent, Licence
from consent.states import ConsentState, LicenceState
from foundation.clock import now
from foundation.identity.actors import Actor
from foundation.vault.models import KeyState
from marketplace.models import Listing
from marketplace.services import withdraw_listing
from marketplace.states import ListingState
from retention.models import CustodyState
from safety.models import EnrolledVoice
from safety.states import ProtectionState


def foresee(*, actor: Actor, consent_id: UUID) -> list[Consequence]:
    """What a withdrawal at this moment would end, in the order in which it would; nothing for one that has ended.

    Raises NotFound.
    """
    consent = selectors.consent_of(actor=actor, consent_id=consent_id)
    if consent.state != ConsentState.ACTIVE.value:
        return []
    listings = _live_listings(consent_id)
    licences = Licence.objects.filter(consent_id=consent_id, state=LicenceState.ACTIVE.value)
    jobs = Job.objects.filter(voice__consent_id=consent_id, state__in=[*OPEN_JOB_STATES, JobState.FAILED])
    voices = Voice.objects.filter(consent_id=consent_id).exclude(state=VoiceState.DESTROYED)
    held = [item for item in services.held_recordings(consent) if item.state == CustodyState.HELD]
    found = [Consequence("consent.withdrawn", str(consent.id), None)]
    if consent.template_key is not None and consent.template_key.state == KeyState.ACTIVE:
        found.append(Consequence("template.destroyed", str(consent.id), None))
    if EnrolledVoice.objects.filter(consent_ref=str(consent.id), state=ProtectionState.ACTIVE).exists():
        found.append(Consequence("search_template.destroyed", str(consent.id), None))
    return [
        *found,
        *_each("licence.ended", licences.values_list("id", flat=True)),
        *_each("recording.destroyed", (item.id for item in held)),
        *_each("job.cancelled", jobs.values_list("id", flat=True)),
        *_each("voice.destroyed", voices.values_list("id", flat=True)),
        *(Consequence("outputs.revoked", str(voice), None, count) for voice, count in _outputs(consent_id).items()),
        *_each("listing.withdrawn", (one.id for one in listings)),
    ]


@transaction.atomic
def withdraw(*, actor: Actor, consent_id: UUID) -> list[Consequence]:
    """Ends the actor's own consent and everything under it, in every room. Raises NotFound, ConsentEnded.

    Offers are locked first, as an order locks them: an order that came first is fulfilled and its licence ends here, a
    later one finds no offer.
    """
    listings = list(_live_listings(consent_id).filter(owner_id=actor.person_id).select_for_update(of=("self",)))
    found = services.withdraw_consent(actor=actor, consent_id=consent_id)
    jobs = cancel_jobs_for_consent(consent_id=consent_id, actor=actor)
    outputs = _outputs(consent_id)
    voices = destroy_voices_for_consent(consent_id=consent_id, actor=actor)
    ended = dict(Job.objects.filter(id__in=jobs).values_list("id", "finished_at"))
    gone = dict(Voice.objects.filter(id__in=voices).values_list("id", "destroyed_at"))
    found += [Consequence("job.cancelled", str(job), ended[job]) for job in jobs]
    found += [Consequence("voice.destroyed", str(voice), gone[voice]) for voice in voices]
    found += [Consequence("outputs.revoked", str(v), gone[v], count) for v, count in outputs.items() if v in gone]
    for listing in listings:
        taken = withdraw_listing(actor=actor, listing_id=listing.id)
        found.append(Consequence("listing.withdrawn", str(taken.id), taken.withdrawn_at))
    return found


@transaction.atomic
def renew(**given: Any) -> tuple[Consent, list[Consequence]]:
    """`consent.renewal.renew_consent`, and the voices of the former consent go on under the new one."""
    consent, found = renewal.renew_consent(**given)
    for voice in carry_voices(consent_id=consent.id):
        found.append(Consequence("voice.carried", str(voice), now()))
    return consent, found


def _each(what: str, refs: Iterable[Any]) -> list[Consequence]:
    return [Consequence(what, str(ref), None) for ref in refs]


def _outputs(consent_id: UUID) -> dict[UUID, int]:
    """How many recordings of each voice are handed out still."""
    live = Output.objects.filter(voice__consent_id=consent_id).exclude(state=OutputState.REVOKED)
    return dict(live.values_list("voice_id").annotate(count=Count("id")).order_by("voice_id"))


def _live_listings(consent_id: UUID) -> Any:
    return Listing.objects.filter(voice__consent_id=consent_id, state=ListingState.LIVE).order_by("id")
