"""Renewal: the same person, heard live again, agrees anew before the term is over. The new record names the former.

The voices and licences of the former consent go on under the new one; licences that the new terms do not cover end.
"""

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.db import transaction

from consent import agreements, compact, licences, reviews, scopes, services, statements, templates, terms
from consent.acts import Act
from consent.consequences import Consequence
from consent.errors import ConsentEnded, ReviewNotApproved, VoiceDiffers
from consent.models import Challenge, Consent, Licence
from consent.selectors import own_id
from consent.statements import Ground
from consent.states import CONSENT, ConsentState, move
from foundation.clock import now
from foundation.errors import NotFound
from foundation.identity.actors import Actor

REMIND: Final = timedelta(days=30)
"""How long before its end a consent is shown as due for renewal; a shorter term: its last fifth."""
SAME_VOICE: Final = 0.801
"""Cosine of two templates from which they count as one voice: what let 1 % of impostors pass at 10 s of speech, the
strictest of the lengths measured (`consent.biometrics.speaker`). Answers are shorter, so fewer impostors pass and more
honest people are asked to read again."""
MODEL: Final = f"template-cosine-{SAME_VOICE}"


def due_from(consent: Consent) -> datetime:
    """From when on the person is reminded that the consent ends."""
    return consent.valid_until - min(REMIND, (consent.valid_until - consent.given_at) / 5)


@transaction.atomic
def renew_consent(
    *,
    actor: Actor,
    act: Act,
    consent_id: UUID,
    challenge_id: UUID | None,
    uses: Mapping[str, bool],
    languages: Collection[str],
    term_days: int,
    territory: str,
    text_version: str,
    biometric_release: bool,
    review_id: UUID | None = None,
) -> tuple[Consent, list[Consequence]]:
    """Replaces the actor's own consent in force by a new one on new terms. Returns it and what became of the former.

    A fresh passed challenge must be in the voice of the former's template. A consent given through a review needs a
    new review too; one without biometrics needs only that. The voices go on by the caller, in this transaction
    (they live above this room). Raises NotFound, ConsentEnded, ChallengeNotPassed, ChallengeUsed, VoiceDiffers,
    TemplateGone, ReviewNotApproved, and what the terms of `services.give_consent` raise.
    """
    former = _lock(actor, consent_id)
    services.refuse_restricted(former.person_id)
    challenge = _challenge(actor, former, challenge_id)
    review = None
    if former.basis != compact.SELF:
        if review_id is None:
            raise ReviewNotApproved
        review = reviews.usable(actor=actor, review_id=review_id, kind=former.basis)
    agreed = terms.checked(uses, languages, term_days, territory)
    kind = {compact.REPRESENTATIVE: agreements.REPRESENTED, compact.WITHOUT_BIOMETRICS: agreements.UNMEASURED}
    text = agreements.offered(text_version, kind=kind.get(former.basis, agreements.CONSENT))
    evidence = []
    if challenge is not None:
        evidence = [statements.examined(challenge), _match(former, challenge)]
    if review is not None:
        evidence.append(reviews.evidence(review))
    ground = Ground(
        person=former.person,
        speaker=review.speaker_name if review else former.statement.get("speaker", former.person.display_name),
        challenge=challenge,
        review=review,
        recordings=list(former.recordings.order_by("created_at", "id")),
        evidence=evidence,
        former=former,
    )
    active = licences.lock_active(consent_id=former.id)
    consent = services.write(
        ground, agreed=agreed, term_days=term_days, text=text, released=biometric_release, act=act, actor=actor
    )
    return consent, _replace(former, consent, active, actor)


def _replace(former: Consent, consent: Consent, active: list[Licence], actor: Actor) -> list[Consequence]:
    """Ends the former in favour of the new one; its ended_leaf is the entry of the new one, which names it."""
    move(former, ConsentState.RENEWED, CONSENT)
    former.ended_at, former.ended_leaf = now(), consent.leaf_index
    former.save(update_fields=["state", "ended_at", "ended_leaf"])
    found = [
        Consequence("consent.renewed", str(former.id), former.ended_at),
        *services.end_templates(former, reason="consent_renewed", actor=actor),
    ]
    for licence in active:
        ground = licences.ground_of(consent)
        if not scopes.exceeds(scopes.parse(licence.scope), ground, until=min(licence.valid_until, ground.valid_until)):
            licences.carry(licence=licence, to=consent)
            found.append(Consequence("licence.carried", str(licence.id), former.ended_at))
        else:
            licences.end(licence=licence, reason="consent_renewed", actor=actor)
            found.append(Consequence("licence.ended", str(licence.id), licence.ended_at))
    return found


def _lock(actor: Actor, consent_id: UUID) -> Consent:
    rows = Consent.objects.select_for_update(of=("self",)).select_related("person", "template__key", "template_key")
    found = rows.filter(id=consent_id, person_id=own_id(actor)).first()
    if found is None:
        raise NotFound
    if found.state != ConsentState.ACTIVE.value or found.valid_until <= now():
        raise ConsentEnded(state=found.state)
    return found


def _challenge(actor: Actor, former: Consent, challenge_id: UUID | None) -> Challenge | None:
    if former.basis == compact.WITHOUT_BIOMETRICS:
        return None
    if challenge_id is None:
        raise NotFound
    return services.unused_challenge(actor=actor, challenge_id=challenge_id)


def _match(former: Consent, challenge: Challenge) -> dict[str, Any]:
    """The voice of the new challenge against the template kept with the former consent. Raises VoiceDiffers."""
    kept, live = templates.read(former), templates.unit(templates.of(challenge))
    if len(kept) != len(live):
        raise templates.TemplateGone("The template was made by another speaker model.")
    cosine = round(sum(a * b for a, b in zip(kept, live, strict=True)), 4)
    if cosine < SAME_VOICE:
        raise VoiceDiffers
    return {
        "of": "renewal",
        "kind": "speaker_template",
        "former": str(former.id),
        "challenge": str(challenge.id),
        "value": cosine,
        "threshold": SAME_VOICE,
        "verdict": "pass",
        "model": MODEL,
        "rehearsal": former.rehearsal,
    }
