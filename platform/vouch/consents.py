"""Acts on a consent that reach into several rooms: what would end, withdrawal, renewal. Each is one transaction.

No room may know the one above it, so what crosses them upwards is put together here.
"""

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Count, QuerySet

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
from foundation.vault.models import KeyState, VaultKey
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
    return foresee_each([selectors.consent_of(actor=actor, consent_id=consent_id)])[consent_id]


def foresee_each(given: Sequence[Consent]) -> dict[UUID, list[Consequence]]:
    """The same of several consents, by their ids, in as many queries as of one."""
    asked = {one.id: one for one in given if one.state == ConsentState.ACTIVE.value}
    ends: dict[UUID, list[Consequence]] = {one.id: [] for one in given}
    for consent in asked.values():
        ends[consent.id].append(Consequence("consent.withdrawn", str(consent.id), None))
    templates = VaultKey.objects.filter(id__in=[one.template_key_id for one in asked.values()], state=KeyState.ACTIVE)
    standing = set(templates.values_list("id", flat=True))
    for consent in asked.values():
        if consent.template_key_id in standing:
            ends[consent.id].append(Consequence("template.destroyed", str(consent.id), None))
    refs = {str(one): one for one in asked}
    for ref in EnrolledVoice.objects.filter(consent_ref__in=refs, state=ProtectionState.ACTIVE).values_list(
        "consent_ref", flat=True
    ):
        ends[refs[ref]].append(Consequence("search_template.destroyed", ref, None))
    recordings = services.held_recordings_of(list(asked.values()))
    held = [(key, one.id) for key, items in recordings.items() for one in items if one.state == CustodyState.HELD]
    voices = list(Voice.objects.filter(consent__in=asked).order_by("id").values_list("id", "consent_id", "state"))
    under = {voice_id: consent_id for voice_id, consent_id, _ in voices}
    jobs = Job.objects.filter(voice__in=list(under), state__in=[*OPEN_JOB_STATES, JobState.FAILED])
    rows: list[tuple[str, Iterable[tuple[UUID, UUID]]]] = [
        ("licence.ended", _active_licences(asked).values_list("consent_id", "id")),
        ("recording.destroyed", held),
        ("job.cancelled", jobs.values_list("voice__consent_id", "id")),
        ("voice.destroyed", [(key, voice) for voice, key, state in voices if state != VoiceState.DESTROYED]),
    ]
    for what, found in rows:
        for consent_id, ref_id in found:
            ends[consent_id].append(Consequence(what, str(ref_id), None))
    for voice_id, count in _outputs(under).items():
        ends[under[voice_id]].append(Consequence("outputs.revoked", str(voice_id), None, count))
    for voice_id, listing_id in _live_listings(under).values_list("voice_id", "id"):
        ends[under[voice_id]].append(Consequence("listing.withdrawn", str(listing_id), None))
    return ends


@transaction.atomic
def withdraw(*, actor: Actor, consent_id: UUID) -> list[Consequence]:
    """Ends the actor's own consent and everything under it, in every room. Raises NotFound, ConsentEnded.

    Offers are locked first, as an order locks them: an order that came first is fulfilled and its licence ends here, a
    later one finds no offer.
    """
    listings = list(
        _live_listings(_voices(consent_id)).filter(owner_id=actor.person_id).select_for_update(of=("self",))
    )
    found = services.withdraw_consent(actor=actor, consent_id=consent_id)
    jobs = cancel_jobs_for_consent(consent_id=consent_id, actor=actor)
    outputs = _outputs(_voices(consent_id))
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


def _active_licences(consent_ids: Iterable[UUID]) -> QuerySet[Licence]:
    return Licence.objects.filter(consent__in=consent_ids, state=LicenceState.ACTIVE.value)


def _voices(consent_id: UUID) -> list[UUID]:
    return list(Voice.objects.filter(consent_id=consent_id).values_list("id", flat=True))


def _outputs(voice_ids: Iterable[UUID]) -> dict[UUID, int]:
    """How many recordings of each voice are handed out still.

    By ids, not by a join: the database cannot know that a consent has few voices, and would read every recording.
    """
    live = Output.objects.filter(voice__in=list(voice_ids)).exclude(state=OutputState.REVOKED)
    return dict(live.values_list("voice_id").annotate(count=Count("id")).order_by("voice_id"))


def _live_listings(voice_ids: Iterable[UUID]) -> QuerySet[Listing]:
    return Listing.objects.filter(voice__in=list(voice_ids), state=ListingState.LIVE).order_by("id")
