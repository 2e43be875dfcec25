"""Reviews by hand: a representative with documents, or a speaker whose voice no machine can compare.

Two different moderators must each have agreed before a consent may rest on a review; one no ends it. Its documents lie
in custody like recordings, for 72 hours at most, and go with the decision. Children and the dead have no way in here:
their voices are refused.
"""

from collections.abc import Iterable
from datetime import timedelta
from itertools import chain
from typing import Any, Final
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError, transaction

from consent.errors import (
    AgeRefused,
    DeceasedRefused,
    DocumentMissing,
    DocumentUnsupported,
    OwnReview,
    PersonRestricted,
    ReviewClosed,
    ReviewInvalid,
    ReviewNotApproved,
    ReviewOpen,
    TooManyDocuments,
    VotedBefore,
)
from consent.models import Consent, Review, ReviewDocument, ReviewVote
from consent.review_models import NAME_CHARS, STATEMENT_CHARS, ReviewKind, Standing
from consent.selectors import own_id
from consent.states import REVIEW, ReviewState, move
from foundation.audit import log
from foundation.audit.commitments import commit
from foundation.clock import now
from foundation.errors import NotFound
from foundation.identity.actors import Actor
from foundation.identity.models import Person
from retention import custody
from retention.purposes import LIMIT, Purpose
from safety.selectors import active_restrictions

APPROVALS: Final = 2
"""Different moderators who must each agree."""
USABLE: Final = timedelta(days=14)
"""How long an approved review waits for its consent."""
MAX_DOCUMENTS: Final = 5
MAX_DOCUMENT_BYTES: Final = 10 * 1024 * 1024
ADULT, MINOR, DECEASED = "adult", "minor", "deceased"
SPEAKERS: Final = (ADULT, MINOR, DECEASED)
"""Whose voice it is, as the asker declares it. Only the first can be asked for."""
MEDIA_TYPES: Final[dict[str, bytes]] = {
    "application/pdf": b"%PDF-",
    "image/png": b"\x89PNG\r\n\x1a\n",
    "image/jpeg": b"\xff\xd8\xff",
}
"""What a document may be, and how such a file begins. Nothing is opened here; a moderator's browser shows it."""
ACTOR: Final = Actor.system("consent.reviews")


@transaction.atomic
def ask(*, actor: Actor, kind: str, standing: str, speaker: str, speaker_name: str, statement: str) -> Review:
    """Opens a review; documents follow, then two moderators decide within 72 hours.

    ``speaker``: adult, minor or deceased. Raises AgeRefused, DeceasedRefused, ReviewInvalid, ReviewOpen,
    PersonRestricted, NotFound for an actor that is nobody.
    """
    person_id = own_id(actor)
    if speaker == MINOR:
        raise AgeRefused
    if speaker == DECEASED:
        raise DeceasedRefused
    name, statement = speaker_name.strip(), statement.strip()
    if kind not in ReviewKind.values or standing not in Standing.values or speaker not in SPEAKERS:
        raise ReviewInvalid
    if (kind == ReviewKind.WITHOUT_BIOMETRICS) != (standing == Standing.SELF):
        raise ReviewInvalid("A representative says by what right; the way without biometrics is the speaker's own.")
    if not 1 <= len(name) <= NAME_CHARS or not 1 <= len(statement) <= STATEMENT_CHARS:
        raise ReviewInvalid(f"A name has 1 to {NAME_CHARS} characters, a statement 1 to {STATEMENT_CHARS}.")
    if active_restrictions(subjects=[("person", str(person_id))]):
        raise PersonRestricted
    sealed = commit(f"{name}\n{statement}")
    moment = now()
    review = Review(
        kind=kind,
        person_id=person_id,
        speaker_name=name,
        standing=standing,
        statement=statement,
        salt=sealed.salt,
        opened_at=moment,
        expires_at=moment + LIMIT,
        rehearsal=settings.REHEARSAL,
        leaf_index=0,
    )
    try:
        with transaction.atomic():
            review.save(force_insert=True)
    except IntegrityError as error:
        raise ReviewOpen from error
    review.leaf_index = _leaf(
        "case.opened",
        review,
        actor,
        {"standing": standing, "requester": f"person:{person_id}", "statement": sealed.digest},
    )
    review.save(update_fields=["leaf_index"])
    return review


def add_document(*, actor: Actor, review_id: UUID, stream: Iterable[bytes]) -> ReviewDocument:
    """Takes a document of the actor's own review into custody; it goes with the decision, or with the review's time.

    What kind of file it is, its first bytes say. Raises NotFound, ReviewClosed, TooManyDocuments, DocumentUnsupported,
    TooLarge, and what the stream raises.
    """
    review = _open_review(Review.objects.filter(id=review_id, person_id=own_id(actor)).first())
    media_type, whole = _typed(stream)
    item = custody.receive(
        stream=whole,
        purpose=Purpose.DOCUMENT,
        subject=Person.objects.get(id=review.person_id),
        actor=actor,
        max_bytes=MAX_DOCUMENT_BYTES,
        deadline=review.expires_at,
    )
    try:
        with transaction.atomic():
            _open_review(_lock(review_id))
            if ReviewDocument.objects.filter(review_id=review_id).count() >= MAX_DOCUMENTS:
                raise TooManyDocuments(f"At most {MAX_DOCUMENTS}.")
            return ReviewDocument.objects.create(review_id=review_id, custody=item, media_type=media_type)
    except BaseException:
        custody.destroy(item=item, reason="not_received", actor=actor)
        raise


@transaction.atomic
def open_document(*, actor: Actor, document_id: UUID) -> tuple[ReviewDocument, bytes]:
    """The document's bytes, for a moderator; that they were opened, and by whom, is a leaf.

    Raises NotAllowed, NotFound, OwnReview, ReviewClosed, PastDeadline.
    """
    moderator_id = _moderator(actor)
    found = ReviewDocument.objects.select_related("review", "custody").filter(id=document_id).first()
    if found is None:
        raise NotFound
    review = _open_review(_lock(found.review_id))
    _refuse_own(review, moderator_id)
    content = custody.read(item=found.custody, actor=ACTOR)
    _leaf("case.claimed", review, actor, {"document": str(found.id), "custody": str(found.custody_id)})
    return found, content


@transaction.atomic
def vote(*, actor: Actor, review_id: UUID, approve: bool, reason: str) -> Review:
    """One moderator's word. One no refuses; the second yes, by another moderator, approves. Documents go with either.

    Raises NotAllowed, NotFound, OwnReview, ReviewClosed, DocumentMissing, VotedBefore, ReviewInvalid (no reason).
    """
    moderator_id = _moderator(actor)
    reason = reason.strip()
    if not 1 <= len(reason) <= STATEMENT_CHARS:
        raise ReviewInvalid(f"A reason has 1 to {STATEMENT_CHARS} characters.")
    review = _open_review(_lock(review_id))
    _refuse_own(review, moderator_id)
    documents = list(review.documents.select_related("custody"))
    if approve and not documents:
        raise DocumentMissing
    votes = list(review.votes.all())
    if any(one.moderator_id == moderator_id for one in votes):
        raise VotedBefore
    approvals = sum(one.approve for one in votes) + (1 if approve else 0)
    if not approve:
        outcome = ReviewState.REFUSED
    else:
        outcome = ReviewState.APPROVED if approvals >= APPROVALS else ReviewState.OPEN
    if outcome is not ReviewState.OPEN:
        # Custody rows are locked before anything is appended to the log.
        custody.destroy_all(items=[one.custody for one in documents], reason="purpose_ended", actor=ACTOR)
    sealed = commit(reason)
    leaf = _leaf(
        "case.decided",
        review,
        actor,
        {"approve": approve, "approvals": approvals, "outcome": outcome.value, "reason": sealed.digest},
    )
    ReviewVote.objects.create(
        review=review, moderator_id=moderator_id, approve=approve, reason=reason, salt=sealed.salt, leaf_index=leaf
    )
    if outcome is not ReviewState.OPEN:
        _close(review, outcome, leaf)
    return review


def lapse_overdue() -> int:
    """Ends reviews nobody decided in time; their documents are gone by then. Safe to run at any time."""
    ended = 0
    overdue = Review.objects.filter(state=ReviewState.OPEN.value, expires_at__lte=now())
    for review_id in list(overdue.values_list("id", flat=True)):
        with transaction.atomic():
            review = overdue.select_for_update(skip_locked=True, of=("self",)).filter(id=review_id).first()
            if review is not None:
                documents = [one.custody for one in review.documents.select_related("custody")]
                custody.destroy_all(items=documents, reason="purpose_ended", actor=ACTOR)
                leaf = _leaf("case.decided", review, ACTOR, {"outcome": ReviewState.LAPSED.value})
                _close(review, ReviewState.LAPSED, leaf)
                ended += 1
    return ended


def usable(*, actor: Actor, review_id: UUID, kind: str) -> Review:
    """The actor's own approved review of this kind that no consent rests on yet, locked. Its votes are counted again.

    Inside a transaction. Raises NotFound, ReviewNotApproved.
    """
    review = _lock(review_id, person_id=own_id(actor))
    fresh = review.usable_until is not None and review.usable_until > now()
    moderators = set(review.votes.filter(approve=True).values_list("moderator_id", flat=True))
    refused = review.votes.filter(approve=False).exists()
    if (
        review.kind != kind
        or review.state != ReviewState.APPROVED.value
        or not fresh
        or refused
        or len(moderators - {review.person_id}) < APPROVALS
        or Consent.objects.filter(review=review).exists()
    ):
        raise ReviewNotApproved
    return review


def evidence(review: Review) -> dict[str, Any]:
    """What a statement keeps of a review: who decided stays with the platform, that two did and when does not."""
    documents = review.documents.select_related("custody").order_by("id")
    return {
        "of": "review",
        "id": str(review.id),
        "kind": review.kind,
        "standing": review.standing,
        "approvals": review.votes.filter(approve=True).count(),
        "decided_at": review.decided_at.isoformat() if review.decided_at else None,
        "leaf": review.decided_leaf,
        "documents": [{"media_type": one.media_type, "commitment": one.custody.commitment} for one in documents],
        "rehearsal": review.rehearsal,
    }


def _close(review: Review, to: ReviewState, leaf: int) -> None:
    move(review, to, REVIEW)
    review.decided_at, review.decided_leaf = now(), leaf
    if to is ReviewState.APPROVED:
        review.usable_until = review.decided_at + USABLE
    review.save(update_fields=["state", "decided_at", "decided_leaf", "usable_until"])


def _typed(stream: Iterable[bytes]) -> tuple[str, Iterable[bytes]]:
    """The kind of file a stream begins with, and the stream whole. Raises DocumentUnsupported."""
    head, pieces = b"", iter(stream)
    for piece in pieces:
        head += piece
        if len(head) >= max(len(magic) for magic in MEDIA_TYPES.values()):
            break
    for media_type, magic in MEDIA_TYPES.items():
        if head.startswith(magic):
            return media_type, chain([head], pieces)
    raise DocumentUnsupported


def _lock(review_id: UUID, *, person_id: UUID | None = None) -> Review:
    rows = Review.objects.select_for_update(of=("self",)).filter(id=review_id)
    found = (rows.filter(person_id=person_id) if person_id else rows).first()
    if found is None:
        raise NotFound
    return found


def _open_review(review: Review | None) -> Review:
    if review is None:
        raise NotFound
    if review.state != ReviewState.OPEN.value or review.expires_at <= now():
        raise ReviewClosed
    return review


def _moderator(actor: Actor) -> UUID:
    actor.require_scope("moderate")
    actor.require_role("moderator", "senior")
    return own_id(actor)


def _refuse_own(review: Review, moderator_id: UUID) -> None:
    if review.person_id == moderator_id:
        raise OwnReview


def _leaf(kind: str, review: Review, actor: Actor, data: dict[str, Any]) -> int:
    return log.append(
        kind=kind,
        subject=f"review:{review.id}",
        actor=actor,
        data={"kind": f"review.{review.kind}", **data},
        rehearsal=review.rehearsal,
    ).index
