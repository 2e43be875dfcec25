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

from cloning import errors, gate_rules, membership, policy_facts, texts, topics
from cloning.entitlement import Asked
from cloning.masks import sentences
from cloning.masks.models import VoiceMask
from cloning.models import SpeechRequest, Voice
from consent.models import Consent, Licence
from foundation import keys
from foundation.audit import log
from foundation.clock import now
from foundation.identity.actors import Actor
from foundation.vault.clearance import Clearance, encode
from safety.policy import PolicyVerdict, decisions
from safety.selectors import decision_for

CLEARANCE_LIFE: Final = timedelta(minutes=5)
"""Long enough to unwrap a key on a slow disk, short enough that a leaked token is soon worth nothing."""
RULES: Final = "gate@2"
"""Version of the rules (here and in `gate_rules`); it stands in every clearance beside the policy pack's version."""
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
        gate_rules.rehearsal(consent.rehearsal)
        or gate_rules.restriction(subjects)
        or gate_rules.standing(consent)
        or gate_rules.speaks(consent, language)
        or gate_rules.trainable(voice)
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
    if consent is None or not gate_rules.may_know(voice, consent, requester_id):
        return Judgement(errors.VoiceUnknown(), voice)
    people = {str(requester_id), str(voice.owner_id)}
    subjects = [*(("person", p) for p in sorted(people)), ("voice", str(voice.id)), ("text", text_digest)]
    refusal = (
        gate_rules.rehearsal(voice.rehearsal)
        or gate_rules.restriction(subjects)
        or gate_rules.staydown(voice, text, text_digest)
        or gate_rules.standing(consent)
        or gate_rules.speakable(voice, own=voice.owner_id == requester_id, instant=instant)
        or gate_rules.maskable(voice, mask_id)
        or gate_rules.speaks(consent, language)
    )
    if refusal is not None:
        return Judgement(refusal, voice, consent)
    licence = None
    seen = gate_rules.uses(voice, language, uses, masked=mask_id is not None)
    asked = Asked(text, reserved, reserved_ms, frozenset(), seen, language, channel, territory)
    if voice.owner_id == requester_id:
        refusal = gate_rules.own(consent, seen) or membership.refusal(requester_id, len(text) - quota_reserved)
    else:
        asked = replace(asked, topics=topics.topics(text))
        licence, refusal = gate_rules.entitled(voice, consent, requester_id, licence_id, asked)
        if licence is not None and refusal is None:
            refusal = gate_rules.restriction([("licence", str(licence.id))])
    if refusal is not None:
        return Judgement(refusal, voice, consent, licence)
    judgement = _by_policy(voice, consent, licence, requester_id, text, text_digest, language)
    if judgement.refusal is not None or licence is None:
        return judgement
    return replace(judgement, refusal=gate_rules.by_owner(licence, requester_id, text_digest, asked.topics))


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
        uses=frozenset({gate_rules.VOICE_MASK}),
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
        refusal = (
            gate_rules.by_word(licence, requester_id, text_digest, frozenset({verdict.clause})) if licence else None
        )
    elif verdict.outcome not in ("allow", "allow_with_label"):
        refusal = errors.PolicyRefused("The policy gave no answer that is known here.")
    return Judgement(refusal, voice, consent, licence, verdict, approval)


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
