"""Reviews by hand: what two different moderators must both have seen and agreed to before a consent may rest on it."""

import uuid
from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q

from consent.states import ReviewState
from foundation.clock import now

STATEMENT_CHARS = 2_000
NAME_CHARS = 120


class ReviewKind(models.TextChoices):
    REPRESENTATIVE = "representative", "Somebody acts for the speaker, with documents"
    WITHOUT_BIOMETRICS = "without_biometrics", "The speaker's voice cannot be compared by machine"


class Standing(models.TextChoices):
    """By what right somebody acts for the speaker."""

    AGENT = "agent", "Agent or agency under contract"
    ATTORNEY = "attorney", "Power of attorney"
    GUARDIAN = "guardian", "Court-appointed guardian of an adult"
    SELF = "self", "The speaker"


class Review(models.Model):
    """A question that two moderators answer by hand, within the time its documents may be held.

    ``person`` asks; ``speaker_name`` is whose voice it is about. ``statement`` and ``speaker_name`` are shown to
    moderators only, ``salt`` opens the commitment to both that stands in the log.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    kind = models.CharField(max_length=20, choices=ReviewKind.choices)
    person = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="reviews")
    speaker_name = models.CharField(max_length=NAME_CHARS)
    standing = models.CharField(max_length=12, choices=Standing.choices)
    statement = models.CharField(max_length=STATEMENT_CHARS)
    salt = models.CharField(max_length=64)
    state = models.CharField(max_length=12, default=ReviewState.OPEN.value)
    opened_at = models.DateTimeField(default=now)
    expires_at = models.DateTimeField()
    decided_at = models.DateTimeField(null=True)
    usable_until = models.DateTimeField(null=True)
    rehearsal = models.BooleanField()
    leaf_index = models.BigIntegerField()
    decided_leaf = models.BigIntegerField(null=True)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(condition=Q(kind__in=ReviewKind.values), name="review_kind_known"),
            models.CheckConstraint(condition=Q(standing__in=Standing.values), name="review_standing_known"),
            models.CheckConstraint(condition=Q(state__in=[s.value for s in ReviewState]), name="review_state_known"),
            models.CheckConstraint(
                condition=Q(state="open", decided_at__isnull=True)
                | ~Q(state="open") & Q(decided_at__isnull=False, decided_leaf__isnull=False),
                name="review_decided_whole",
            ),
            models.CheckConstraint(
                condition=Q(state="approved", usable_until__isnull=False)
                | ~Q(state="approved") & Q(usable_until__isnull=True),
                name="review_usable_only_when_approved",
            ),
            # Nobody represents themselves, and nobody but the speaker asks for the way without biometrics.
            models.CheckConstraint(
                condition=Q(kind="without_biometrics", standing="self")
                | Q(kind="representative") & ~Q(standing="self"),
                name="review_standing_fits_kind",
            ),
            models.UniqueConstraint(
                fields=["person", "kind"], condition=Q(state="open"), name="review_one_open_per_kind"
            ),
        ]

    def __str__(self) -> str:
        return f"review {self.id}"

    @property
    def approval_count(self) -> int:
        """How many moderators have agreed so far."""
        return sum(vote.approve for vote in self.votes.all())


class ReviewDocument(models.Model):
    """A paper the review rests on. Its content is a custody item and goes with the decision, after 72 hours at most."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    review = models.ForeignKey(Review, on_delete=models.PROTECT, related_name="documents")
    custody = models.OneToOneField("retention.CustodyItem", on_delete=models.PROTECT, related_name="+")
    media_type = models.CharField(max_length=40)

    def __str__(self) -> str:
        return f"document {self.id}"


class ReviewVote(models.Model):
    """One moderator's word on one review: given once, never changed."""

    review = models.ForeignKey(Review, on_delete=models.PROTECT, related_name="votes")
    moderator = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    approve = models.BooleanField()
    reason = models.CharField(max_length=STATEMENT_CHARS)
    salt = models.CharField(max_length=64)
    leaf_index = models.BigIntegerField()
    at = models.DateTimeField(default=now)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["review", "moderator"], name="review_vote_once_per_moderator"),
            models.CheckConstraint(condition=~Q(reason=""), name="review_vote_has_reason"),
        ]

    def __str__(self) -> str:
        return f"vote on {self.review_id}"
