"""The one place that answers "may this be done?".

Its yes is a signed, single-use, short-lived clearance without which the vault opens no voice; its no is a named
``GateRefused``. Each yes and each no is a leaf of the log, in the transaction that decided it.

The question is asked twice. When a request arrives, so that the client learns at once; and again by the worker just
before the voice's key is needed, because a consent may be withdrawn while a job waits. Only the second answer signs. A
stream asks again before each sentence (`still_speech`).

Every judgement holds the consent's row lock, and a withdrawal takes the same lock first: of the two, one happens
entirely before the other. Lock order everywhere in this room: consent, licence, voice, job, then the log.
"""

import uuid
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final, Literal
from uuid import UUID

from django.conf import settings
from django.db import transaction

from cloning import approvals, errors, membership, policy_facts, sketches, texts, topics
from cloning.entitlement import Asked, covered
from cloning.masks import sentences
from cloning.masks.models import VoiceMask
from cloning.models import Output, SpeechRequest, Voice
from cloning.states import MaskState, VoiceState
from consent.models import Consent, Licence
from consent.selectors import knows_consent, knows_licence, usable_licences
from foundation import keys
from foundation.audit import log
from foundation.clock import now
from foundation.identity.actors import Actor
from foundation.vault.clearance import Clearance, encode
from safety.policy import PolicyVerdict, decisions
from safety.selectors import active_restrictions, decision_for, restricted_refs
from safety.states import SubjectKind

CLEARANCE_LIFE: Final = timedelta(minutes=5)
"""Long enough to unwrap a key on a slow disk, short enough that a leaked token is soon worth nothing."""
RULES: Final = "gate@2"
"""Version of the rules in this file; it stands in every clearance beside the policy pack's version."""
OWN_USE: Final = "own_use"
LICENCE_TO_OTHERS: Final = "licence_to_others"
VOICE_MASK: Final = "voice_mask"
"""The uses of a consent that this gate reads; `consent` defines them."""
MASK_ADVICE: Final = "Renew the consent and allow voice masks in it."
ALLOWED: Final = "allow"
"""The one moderator's decision that lets a held text through; every other keeps it shut."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the gate decided and what it rests on. ``refusal`` None means yes. A hold is a refusal of its own kind."""

    refusal: errors.GateRefused | None
    voice: Voice | None
    consent: Consent | None = None
    licence: Licence | None = None
    verdict: PolicyVerdict | None = None
    approval: UUID | None = None

    @property
    def policy_version(self) -> str:
        return f"{RULES}+{self.verdict.pack}" if self.verdict else RULES


# -- training ---------------------------------------------------------------------------------------------------------


def judge_training(*, consent_id: UUID, owner_id: UUID, language: str, voice: Voice | None = None) -> Judgement:
    """May ``owner_id`` have a voice trained under this consent? Inside a transaction; takes the consent's lock."""
    consent = _lock(consent_id)
    if consent is None or consent.person_id != owner_id:
        return Judgement(errors.VoiceUnknown(), voice)
    subjects = [("person", str(owner_id))] + ([("voice", str(voice.id))] if voice else [])
    refusal = (
        _rehearsal(consent.rehearsal)
        or _restriction(subjects)
        or _standing(consent)
        or _covered(consent, language)
        or _trainable(voice)
    )
    return Judgement(refusal, voice, consent)


def check_training(*, actor: Actor, voice: Voice, digest: str) -> None:
    """The worker's question before it starts. Signs nothing. Raises GateRefused, after the refusal is in the log."""
    with transaction.atomic():
        judgement = _training(voice, digest)
        if judgement.refusal is None:
            _log_yes("policy.decided", actor, judgement, purpose="train")
        else:
            log_refusal(actor, judgement, purpose="train")
    if judgement.refusal is not None:
        raise judgement.refusal


def clear_training(*, actor: Actor, voice: Voice, digest: str) -> str:
    """A clearance to seal a trained voice. ``digest`` is the training set's (`selectors.training_digest`).

    Raises GateRefused, after the refusal is in the log.
    """
    with transaction.atomic():
        judgement = _training(voice, digest)
        token = _answer(actor, judgement, purpose="train", digest=digest, requester_id=voice.owner_id)
    if judgement.refusal is not None:
        raise judgement.refusal
    return token


def _training(voice: Voice, digest: str) -> Judgement:
    fresh = Voice.objects.get(id=voice.id)
    judgement = judge_training(
        consent_id=fresh.consent_id, owner_id=fresh.owner_id, language=fresh.language, voice=fresh
    )
    if judgement.refusal is None and digest != fresh.training_digest:
        return Judgement(errors.TrainingSetChanged(), fresh, judgement.consent)
    return judgement


# -- speaking ---------------------------------------------------------------------------------------------------------


def judge_speech(
    *,
    voice_id: UUID,
    requester_id: UUID,
    text: str,
    text_digest: str,
    language: str,
    reserved: int = 0,
    reserved_ms: int = 0,
    quota_reserved: int = 0,
    channel: str = "",
    territory: str = "",
    uses: frozenset[str] = frozenset(),
    licence_id: UUID | None = None,
    mask_id: UUID | None = None,
    instant: bool = False,
) -> Judgement:
    """May ``requester_id`` have this text spoken in this voice? Inside a transaction; takes the consent's lock.

    ``reserved`` characters and ``reserved_ms`` are what this very request has already set aside under the licence, and
    ``quota_reserved`` of the free quota: the worker's question must not count them a second time. ``channel``,
    ``territory`` and ``uses`` are declared by the requester; with ``licence_id`` no other licence than that one is
    asked. ``mask_id``: through a mask of the voice, which is a use that consent and licence name. ``instant``:
    by the voice's instant one, which speaks for its owner alone. A voice the requester may not know of is answered as
    one that does not exist.
    """
    voice = Voice.objects.filter(id=voice_id).first()
    if voice is None:
        return Judgement(errors.VoiceUnknown(), None)
    consent = _lock(voice.consent_id)
    voice.refresh_from_db()
    if consent is None or not _may_know(voice, consent, requester_id):
        return Judgement(errors.VoiceUnknown(), voice)
    people = {str(requester_id), str(voice.owner_id)}
    subjects = [*(("person", p) for p in sorted(people)), ("voice", str(voice.id)), ("text", text_digest)]
    refusal = (
        _rehearsal(voice.rehearsal)
        or _restriction(subjects)
        or _staydown(voice, text, text_digest)
        or _standing(consent)
        or _speakable(voice, own=voice.owner_id == requester_id, instant=instant)
        or _maskable(voice, mask_id)
        or _covered(consent, language)
    )
    if refusal is not None:
        return Judgement(refusal, voice, consent)
    licence = None
    seen = _uses(voice, language, uses, masked=mask_id is not None)
    asked = Asked(text, reserved, reserved_ms, frozenset(), seen, language, channel, territory)
    if voice.owner_id == requester_id:
        refusal = _own(consent, seen) or membership.refusal(requester_id, len(text) - quota_reserved)
    else:
        asked = replace(asked, topics=topics.topics(text))
        licence, refusal = _entitled(voice, consent, requester_id, licence_id, asked)
        if licence is not None and refusal is None:
            refusal = _restriction([("licence", str(licence.id))])
    if refusal is not None:
        return Judgement(refusal, voice, consent, licence)
    judgement = _by_policy(voice, consent, licence, requester_id, text, text_digest, language)
    if judgement.refusal is not None or licence is None:
        return judgement
    return replace(judgement, refusal=_by_owner(licence, requester_id, text_digest, asked.topics))


def clear_speech(*, actor: Actor, request: SpeechRequest) -> str:
    """A clearance to open the voice for exactly this request's text.

    Raises GateRefused (HeldForModerator included), after the refusal is in the log.
    """
    with transaction.atomic():
        judgement = _judge_cleared(request)
        token = _answer(
            actor, judgement, purpose="speak", digest=request.text_digest, requester_id=request.requester_id
        )
        if token:
            request.cleared_at = now()
            SpeechRequest.objects.filter(id=request.id).update(cleared_at=request.cleared_at)
    if judgement.refusal is not None:
        raise judgement.refusal
    return token


def judge_mask(*, voice_id: UUID, owner_id: UUID) -> Judgement:
    """May ``owner_id`` have a mask made of this voice? Inside a transaction; takes the consent's lock.

    Only a voice's owner may: to whoever speaks under a licence, and to everybody else, it is unknown. It is asked like
    speech of the owner's with masks declared, for sentences that are ours; no quota pays for what nobody hears.
    """
    voice = Voice.objects.filter(id=voice_id, owner_id=owner_id).first()
    if voice is None:
        return Judgement(errors.VoiceUnknown(), None)
    text = sentences.whole(voice.language)
    return judge_speech(
        voice_id=voice_id,
        requester_id=owner_id,
        text=text,
        text_digest=texts.digest(text),
        language=voice.language,
        quota_reserved=len(text),
        uses=frozenset({VOICE_MASK}),
    )


def clear_mask(*, actor: Actor, mask: VoiceMask) -> str:
    """A clearance to open the voice for a mask's making. Raises GateRefused, after the refusal is in the log."""
    with transaction.atomic():
        judgement = judge_mask(voice_id=mask.voice_id, owner_id=mask.owner_id)
        digest = texts.digest(sentences.whole(mask.voice.language))
        token = _answer(actor, judgement, purpose="speak", digest=digest, requester_id=mask.owner_id)
    if judgement.refusal is not None:
        raise judgement.refusal
    return token


def still_speech(*, actor: Actor, request: SpeechRequest) -> None:
    """The same question again while the request is being spoken: before each sentence of a stream. Opens nothing.

    A yes prolongs the one that is in the log and leaves no leaf of its own; a no does. Raises GateRefused.
    """
    with transaction.atomic():
        judgement = _judge_cleared(request)
        if judgement.refusal is not None:
            log_refusal(actor, judgement, purpose="speak")
    if judgement.refusal is not None:
        raise judgement.refusal


def judge_again(request: SpeechRequest) -> Judgement:
    """A request's own question, asked again. Inside a transaction; takes the consent's lock."""
    return judge_speech(
        voice_id=request.voice_id,
        requester_id=request.requester_id,
        text=request.text,
        text_digest=request.text_digest,
        language=request.language,
        reserved=request.reserved,
        reserved_ms=request.reserved_ms,
        quota_reserved=request.quota_reserved,
        channel=request.channel,
        territory=request.territory,
        uses=frozenset(request.uses),
        licence_id=request.licence_id,
        mask_id=request.mask_id,
        instant=request.instant,
    )


def _judge_cleared(request: SpeechRequest) -> Judgement:
    """The judgement of a request that was let in: under the licence it was let in with, for the very text."""
    judgement = judge_again(request)
    found = judgement.licence.id if judgement.licence else None
    if judgement.refusal is None and (found != request.licence_id or (found and not request.reserved)):
        return Judgement(errors.NoLicence(), judgement.voice, judgement.consent)
    if judgement.refusal is None and texts.digest(request.text) != request.text_digest:
        return Judgement(errors.TextChanged(), judgement.voice, judgement.consent)
    return judgement


def _by_policy(
    voice: Voice,
    consent: Consent,
    licence: Licence | None,
    requester_id: UUID,
    text: str,
    text_digest: str,
    language: str,
) -> Judgement:
    """The last question: what the text itself says.

    A moderator's decision on exactly this text, in this voice, for this person settles a hold, the owner's word a
    text that policy wants asked about; what the policy itself refuses no moderator lifts.
    """
    known = policy_facts.known(voice=voice, licence=licence, requester_id=requester_id)
    verdict = decisions.judge(text, language=language, known=known)
    refusal: errors.GateRefused | None = None
    approval = None
    if verdict.outcome == "refuse":
        refusal = errors.PolicyRefused(rule=verdict.rule, clause=verdict.clause, pack=verdict.pack)
    elif verdict.outcome == "hold":
        case = decision_for(text_digest=text_digest, voice_ref=str(voice.id), requester_id=requester_id)
        if case is None:
            refusal = errors.HeldForModerator(rule=verdict.rule, clause=verdict.clause, pack=verdict.pack)
        elif case.decision == ALLOWED:
            approval = case.id
        else:
            refusal = errors.PolicyRefused("A moderator refused this text.", clause=case.decision_clause)
    elif verdict.outcome == "ask_owner":
        # Without a licence it is the owner who asks; their own request is their word.
        refusal = _by_word(licence, requester_id, text_digest, frozenset({verdict.clause})) if licence else None
    elif verdict.outcome not in ("allow", "allow_with_label"):
        refusal = errors.PolicyRefused("The policy gave no answer that is known here.")
    return Judgement(refusal, voice, consent, licence, verdict, approval)


# -- the single rules: each returns its refusal, or None ---------------------------------------------------------------


def _rehearsal(rehearsal: bool) -> errors.GateRefused | None:
    return errors.RehearsalOnly() if rehearsal and not settings.REHEARSAL else None


def _restriction(subjects: list[tuple[str, str]]) -> errors.GateRefused | None:
    found = active_restrictions(subjects=subjects)
    if not found:
        return None
    return errors.Restricted(subject=found[0].subject_kind, clause=found[0].clause)


def _staydown(voice: Voice, text: str, text_digest: str) -> errors.GateRefused | None:
    """What was removed is not made again: the same text, or one with small edits, in the same voice, while its output
    is held back."""
    removed = Output.objects.filter(voice=voice, id__in=restricted_refs(subject_kind=SubjectKind.OUTPUT))
    same = removed.filter(request__text_digest=text_digest).values_list("id", flat=True).first()
    if same is not None:
        return _restriction([("output", str(same))])
    known = list(removed.exclude(request__text_sketch=b"").values_list("id", "request__text_sketch"))
    asked = sketches.sketch(text, voice=voice.id) if known else b""
    like = [one for one, sketch in known if sketches.likeness(asked, bytes(sketch)) >= sketches.SAME_TEXT]
    return _restriction([("output", str(one)) for one in like])


def _standing(consent: Consent) -> errors.GateRefused | None:
    if consent.state == "withdrawn":
        return errors.ConsentWithdrawn()
    if consent.state == "expired" or consent.valid_until <= now():
        return errors.ConsentExpired()
    return None if consent.state == "active" else errors.NoConsent()


def _covered(consent: Consent, language: str) -> errors.GateRefused | None:
    if language not in consent.languages:
        return errors.ConsentScope(f"The consent does not cover the language '{language}'.")
    return None


def _trainable(voice: Voice | None) -> errors.GateRefused | None:
    if voice is not None and voice.state == VoiceState.DESTROYED:
        return errors.VoiceDestroyed()
    return None


def _speakable(voice: Voice, *, own: bool, instant: bool) -> errors.GateRefused | None:
    if voice.state == VoiceState.DESTROYED:
        return errors.VoiceDestroyed()
    if instant or voice.state != VoiceState.READY:
        return None if own and voice.instant_id is not None else errors.VoiceNotReady()
    return None


def _maskable(voice: Voice, mask_id: UUID | None) -> errors.GateRefused | None:
    if mask_id is None:
        return None
    mask = VoiceMask.objects.filter(id=mask_id, voice=voice).first()
    if mask is None:
        return errors.MaskUnknown()
    if mask.state == MaskState.ENDED:
        return errors.MaskEnded()
    return None if mask.state == MaskState.READY else errors.MaskNotReady()


def _own(consent: Consent, seen: frozenset[str]) -> errors.GateRefused | None:
    """What an owner's own use needs of their consent."""
    if not _use(consent, OWN_USE):
        return errors.ConsentScope("The consent does not cover your own use.")
    if VOICE_MASK in seen and not _use(consent, VOICE_MASK):
        return errors.ConsentScope("The consent does not cover voice masks.", advice=MASK_ADVICE)
    return None


def _entitled(
    voice: Voice, consent: Consent, requester_id: UUID, licence_id: UUID | None, asked: "Asked"
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
    if not _use(consent, LICENCE_TO_OTHERS):
        return ordered[0], errors.ConsentScope("The consent does not cover use by others.")
    refusals = [covered(one, consent, voice, asked) for one in ordered]
    for one, refusal in zip(ordered, refusals, strict=True):
        if refusal is None:
            return one, None
    return ordered[0], refusals[0]


def _by_owner(
    licence: Licence, requester_id: UUID, text_digest: str, found: frozenset[str]
) -> errors.GateRefused | None:
    """Does the owner want to read this text first, and what did they say?"""
    level = licence.scope.get("moderation", "standard")
    if level == "standard" or (level == "sensitive" and not found):
        return None
    return _by_word(licence, requester_id, text_digest, found)


def _by_word(
    licence: Licence, requester_id: UUID, text_digest: str, found: frozenset[str]
) -> errors.GateRefused | None:
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


def _uses(voice: Voice, language: str, declared: frozenset[str], *, masked: bool) -> frozenset[str]:
    """What was declared, and what can be seen: a mask, and as cross-lingual use another language than the voice's."""
    seen = {"cross_lingual": language != voice.language, VOICE_MASK: masked}
    return declared | {use for use, yes in seen.items() if yes}


def _use(consent: Consent, use: str) -> bool:
    return consent.uses.get(use) is True


def _may_know(voice: Voice, consent: Consent, requester_id: UUID) -> bool:
    """Who may learn that the voice exists: its owner, who holds or held a licence, anyone when it is on offer."""
    return (
        voice.owner_id == requester_id
        or _use(consent, LICENCE_TO_OTHERS)
        or knows_consent(person_id=requester_id, consent_id=consent.id)
    )


def _lock(consent_id: UUID) -> Consent | None:
    return Consent.objects.select_for_update(of=("self",)).filter(id=consent_id).first()


# -- answering --------------------------------------------------------------------------------------------------------


def _answer(
    actor: Actor, judgement: Judgement, *, purpose: Literal["train", "speak"], digest: str, requester_id: UUID
) -> str:
    """Logs the judgement and signs it when it is a yes; the empty string otherwise."""
    if judgement.refusal is not None:
        log_refusal(actor, judgement, purpose=purpose)
        return ""
    if judgement.voice is None:
        raise RuntimeError("a yes without a voice")
    moment = now()
    clearance = Clearance(
        id=uuid.uuid4(),
        purpose=purpose,
        voice_id=judgement.voice.id,
        digest=digest,
        consent_id=judgement.voice.consent_id,
        licence_id=judgement.licence.id if judgement.licence else None,
        requester_id=requester_id,
        policy_version=judgement.policy_version,
        rehearsal=judgement.voice.rehearsal,
        issued_at=moment,
        expires_at=moment + CLEARANCE_LIFE,
    )
    _log_yes("clearance.issued", actor, judgement, purpose=purpose, clearance=str(clearance.id))
    return encode(clearance, keys.private_key("gate"))


def basis(judgement: Judgement) -> dict[str, str | None]:
    """What a leaf says a judgement rests on: ids and versions, no text and no names."""
    return {
        "voice": str(judgement.voice.id) if judgement.voice else None,
        "consent": str(judgement.consent.id) if judgement.consent else None,
        "licence": str(judgement.licence.id) if judgement.licence else None,
        "policy": judgement.policy_version,
        "rule": judgement.verdict.rule if judgement.verdict else None,
        "approval": str(judgement.approval) if judgement.approval else None,
    }


def log_refusal(actor: Actor, judgement: Judgement, *, purpose: str) -> None:
    """The leaf of a no. A request for a voice that does not exist leaves one too: guessing ids is not silent."""
    if judgement.refusal is None:
        raise RuntimeError("not a refusal")
    log.record(
        kind="clearance.refused",
        subject=_subject(judgement),
        actor=actor,
        data={"purpose": purpose, "code": judgement.refusal.code, **basis(judgement)},
        rehearsal=_is_rehearsal(judgement),
    )


def _log_yes(kind: str, actor: Actor, judgement: Judgement, *, purpose: str, **more: str) -> None:
    log.record(
        kind=kind,
        subject=_subject(judgement),
        actor=actor,
        data={"purpose": purpose, "outcome": "allow", **basis(judgement), **more},
        rehearsal=_is_rehearsal(judgement),
    )


def _subject(judgement: Judgement) -> str:
    return f"voice:{judgement.voice.id}" if judgement.voice else "voice:unknown"


def _is_rehearsal(judgement: Judgement) -> bool:
    if judgement.voice is not None:
        return judgement.voice.rehearsal
    return judgement.consent.rehearsal if judgement.consent else settings.REHEARSAL
