"""Consent to this sentence: a text waits until the owner of the voice approves or refuses it.

An approval stands for exactly one text (by its digest) of one requester under one licence. The text is shown to the
owner while they decide and emptied afterwards; its digest stays.
"""

from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import QuerySet

from cloning import errors
from cloning.models import SpeechRequest, TextApproval
from cloning.states import APPROVAL, ApprovalState, move
from consent.models import Licence
from foundation.audit import log
from foundation.clock import now
from foundation.errors import NotFound
from foundation.identity.actors import Actor

ASKED_FOR: Final = timedelta(days=7)
"""How long a text waits for its owner; then it is refused."""


def standing(*, licence: Licence, requester_id: UUID, text_digest: str) -> str:
    """The last word about this text: open, approved, refused, lapsed; empty when nobody was asked."""
    asked = TextApproval.objects.filter(licence=licence, requester_id=requester_id, text_digest=text_digest)
    return asked.order_by("-asked_at").values_list("state", flat=True).first() or ""


def ask(request: SpeechRequest, *, topics: list[str]) -> TextApproval:
    """The open question about a held request's text, asked when there is none. In the request's transaction."""
    licence = request.licence
    if licence is None:
        raise ValueError("only texts under a licence wait for an owner")
    open_one = TextApproval.objects.filter(
        licence=licence,
        requester_id=request.requester_id,
        text_digest=request.text_digest,
        state=ApprovalState.OPEN.value,
    )
    if (found := open_one.first()) is not None:
        return found
    try:
        with transaction.atomic():
            return TextApproval.objects.create(
                licence=licence,
                voice_id=request.voice_id,
                owner_id=request.voice.owner_id,
                requester_id=request.requester_id,
                text=request.text,
                text_digest=request.text_digest,
                topics=topics,
                expires_at=now() + ASKED_FOR,
            )
    except IntegrityError:  # another request for the same text was a moment faster
        return open_one.get()


def waiting(*, actor: Actor) -> QuerySet[TextApproval]:
    """Texts that wait for the actor's word, oldest first."""
    mine = TextApproval.objects.filter(owner_id=actor.person_id, state=ApprovalState.OPEN.value, expires_at__gt=now())
    return mine.select_related("voice", "licence").order_by("asked_at", "id")


@transaction.atomic
def decide(*, actor: Actor, approval_id: UUID, approve: bool) -> TextApproval:
    """The owner's word, once. The caller then moves the waiting requests (`services.resume_asked`).

    Raises NotFound, IllegalTransition (decided or lapsed).
    """
    rows = TextApproval.objects.select_for_update(of=("self",)).select_related("voice")
    found = rows.filter(id=approval_id, owner_id=actor.person_id).first()
    if found is None or actor.person_id is None:
        raise NotFound
    if found.expires_at <= now():
        raise errors.IllegalTransition("This text waited too long and is refused.")
    end(found, ApprovalState.APPROVED if approve else ApprovalState.REFUSED, actor)
    return found


def end(found: TextApproval, to: ApprovalState, actor: Actor) -> None:
    """Moves one locked approval to its end and forgets the text."""
    move(found, to, APPROVAL)
    found.decided_at, found.text = now(), ""
    found.save(update_fields=["state", "decided_at", "text"])
    data: dict[str, Any] = {
        "voice": str(found.voice_id),
        "licence": str(found.licence_id),
        "text": found.text_digest,
        "approval": str(found.id),
    }
    log.record(
        kind="speech.approved" if to == ApprovalState.APPROVED else "speech.disapproved",
        subject=f"approval:{found.id}",
        actor=actor,
        data=data,
        rehearsal=found.voice.rehearsal,
    )
