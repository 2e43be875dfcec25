"""The gate's single rules: each asks one thing and returns its refusal, or None.

What they add up to, and in which order they are asked, is `cloning.gate`'s; it holds the transaction and the locks.
"""

from typing import Final
from uuid import UUID

from django.conf import settings

from cloning import approvals, errors, sketches
from cloning.entitlement import Asked, covered
from cloning.masks.models import VoiceMask
from cloning.models import Output, Voice
from cloning.states import MaskState, VoiceState
from consent.models import Consent, Licence
from consent.selectors import knows_consent, knows_licence, usable_licences
from foundation.clock import now
from safety.selectors import active_restrictions, restricted_refs
from safety.states import SubjectKind

OWN_USE: Final = "own_use"
LICENCE_TO_OTHERS: Final = "licence_to_others"
VOICE_MASK: Final = "voice_mask"
"""The uses of a consent that this gate reads; `consent` defines them."""
MASK_ADVICE: Final = "Renew the consent and allow voice masks in it."


def rehearsal(rehearsal: bool) -> errors.GateRefused | None:
    return errors.RehearsalOnly() if rehearsal and not settings.REHEARSAL else None


def restriction(subjects: list[tuple[str, str]]) -> errors.GateRefused | None:
    found = active_restrictions(subjects=subjects)
    if not found:
        return None
    return errors.Restricted(subject=found[0].subject_kind, clause=found[0].clause)


def staydown(voice: Voice, text: str, text_digest: str) -> errors.GateRefused | None:
    """What was removed is not made again: the same text, or one with small edits, in the same voice, while its output
    is held back."""
    removed = Output.objects.filter(voice=voice, id__in=restricted_refs(subject_kind=SubjectKind.OUTPUT))
    same = removed.filter(request__text_digest=text_digest).values_list("id", flat=True).first()
    if same is not None:
        return restriction([("output", str(same))])
    known = list(removed.exclude(request__text_sketch=b"").values_list("id", "request__text_sketch"))
    asked = sketches.sketch(text, voice=voice.id) if known else b""
    like = [one for one, sketch in known if sketches.likeness(asked, bytes(sketch)) >= sketches.SAME_TEXT]
    return restriction([("output", str(one)) for one in like])


def standing(consent: Consent) -> errors.GateRefused | None:
    if consent.state == "withdrawn":
        return errors.ConsentWithdrawn()
    if consent.state == "expired" or consent.valid_until <= now():
        return errors.ConsentExpired()
    return None if consent.state == "active" else errors.NoConsent()


def speaks(consent: Consent, language: str) -> errors.GateRefused | None:
    if language not in consent.languages:
        return errors.ConsentScope(f"The consent does not cover the language '{language}'.")
    return None


def trainable(voice: Voice | None) -> errors.GateRefused | None:
    if voice is not None and voice.state == VoiceState.DESTROYED:
        return errors.VoiceDestroyed()
    return None


def speakable(voice: Voice, *, own: bool, instant: bool) -> errors.GateRefused | None:
    if voice.state == VoiceState.DESTROYED:
        return errors.VoiceDestroyed()
    if instant or voice.state != VoiceState.READY:
        return None if own and voice.instant_id is not None else errors.VoiceNotReady()
    return None


def maskable(voice: Voice, mask_id: UUID | None) -> errors.GateRefused | None:
    if mask_id is None:
        return None
    mask = VoiceMask.objects.filter(id=mask_id, voice=voice).first()
    if mask is None:
        return errors.MaskUnknown()
    if mask.state == MaskState.ENDED:
        return errors.MaskEnded()
    return None if mask.state == MaskState.READY else errors.MaskNotReady()


def own(consent: Consent, seen: frozenset[str]) -> errors.GateRefused | None:
    """What an owner's own use needs of their consent."""
    if not use(consent, OWN_USE):
        return errors.ConsentScope("The consent does not cover your own use.")
    if VOICE_MASK in seen and not use(consent, VOICE_MASK):
        return errors.ConsentScope("The consent does not cover voice masks.", advice=MASK_ADVICE)
    return None


def entitled(
    voice: Voice, consent: Consent, requester_id: UUID, licence_id: UUID | None, asked: Asked
) -> tuple[Licence | None, errors.GateRefused | None]:
    """The licence that covers what is asked; else the first one, and why not. Their rows are locked, so that what is
    left under them cannot change before the reservation."""
    usable = usable_licences(person_id=requester_id, consent_id=consent.id)
    if licence_id is not None:
        usable = usable.filter(id=licence_id)
    held = {one.id: one for one in Licence.objects.select_for_update(of=("self",)).filter(id__in=usable).order_by("id")}
    ordered = [held[one] for one in usable.values_list("id", flat=True) if one in held]
    if not ordered:
        if licence_id is not None and knows_licence(person_id=requester_id, licence_id=licence_id):
            return None, errors.LicenceScope("term: the licence has ended", clause="term")
        return None, errors.NoLicence()
    if not use(consent, LICENCE_TO_OTHERS):
        return ordered[0], errors.ConsentScope("The consent does not cover use by others.")
    refusals = [covered(one, consent, voice, asked) for one in ordered]
    for one, refusal in zip(ordered, refusals, strict=True):
        if refusal is None:
            return one, None
    return ordered[0], refusals[0]


def by_owner(
    licence: Licence, requester_id: UUID, text_digest: str, found: frozenset[str]
) -> errors.GateRefused | None:
    """Does the owner want to read this text first, and what did they say?"""
    level = licence.scope.get("moderation", "standard")
    if level == "standard" or (level == "sensitive" and not found):
        return None
    return by_word(licence, requester_id, text_digest, found)


def by_word(licence: Licence, requester_id: UUID, text_digest: str, found: frozenset[str]) -> errors.GateRefused | None:
    """What the owner said about exactly this text."""
    match approvals.standing(licence=licence, requester_id=requester_id, text_digest=text_digest):
        case "approved":
            return None
        case "refused":
            return errors.OwnerRefused(clause="moderation")
        case "lapsed":
            return errors.OwnerRefused("The owner of the voice did not answer in time.", clause="moderation")
        case _:
            return errors.HeldForOwner(clause="moderation", topics=sorted(found))


def uses(voice: Voice, language: str, declared: frozenset[str], *, masked: bool) -> frozenset[str]:
    """What was declared, and what can be seen: a mask, and as cross-lingual use another language than the voice's."""
    seen = {"cross_lingual": language != voice.language, VOICE_MASK: masked}
    return declared | {use for use, yes in seen.items() if yes}


def use(consent: Consent, use: str) -> bool:
    return consent.uses.get(use) is True


def may_know(voice: Voice, consent: Consent, requester_id: UUID) -> bool:
    """Who may learn that the voice exists: its owner, who holds or held a licence, anyone when it is on offer."""
    return (
        voice.owner_id == requester_id
        or use(consent, LICENCE_TO_OTHERS)
        or knows_consent(person_id=requester_id, consent_id=consent.id)
    )
