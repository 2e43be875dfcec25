"""Challenges, recordings, examinations, consents: who may use which voice, and how we know.

No audio and no text of a person lies here in a form that outlives its purpose: recordings are custody items, speaker
templates sealed objects, evidence is numbers and hashes. Licences are in `licence_models`, reviews in `review_models`.
"""

import uuid
from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import F, Q

from consent.compact import REPRESENTATIVE, SELF, WITHOUT_BIOMETRICS
from consent.licence_models import (
    MAX_CHARACTERS,
    MAX_TERM_DAYS,
    Licence,
    LicenceOffer,
    LicenceSeat,
    LicenceText,
    state_known,
)
from consent.review_models import Review, ReviewDocument, ReviewVote
from consent.states import ChallengeState, ConsentState, ExaminationState, RecordingState
from foundation.clock import now

__all__ = [
    "MAX_CHARACTERS",
    "MAX_TERM_DAYS",
    "MAX_TRANSCRIPT",
    "Challenge",
    "Consent",
    "Examination",
    "Licence",
    "LicenceOffer",
    "LicenceSeat",
    "LicenceText",
    "Recording",
    "Review",
    "ReviewDocument",
    "ReviewVote",
]

MAX_TRANSCRIPT = 10_000
"""Characters of a recording's transcript: ten minutes of fast speech stay well below."""
BASES = [(one, one) for one in (SELF, REPRESENTATIVE, WITHOUT_BIOMETRICS)]


class Challenge(models.Model):
    """Random words one person must say, live, within two minutes by the server's clock. One answer each.

    ``custody`` holds what was said and is null until the first chunk arrives. ``template`` is the live speaker
    embedding, derived from it when the challenge is passed: what every training recording is compared with.
    ``address_hash`` is a keyed hash of where the challenge was opened, kept until ``address_until`` for the pause after
    failures and for nothing else.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    person = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="challenges")
    words = models.JSONField()
    state = models.CharField(max_length=12, default=ChallengeState.OPEN.value)
    custody = models.ForeignKey("retention.CustodyItem", null=True, on_delete=models.PROTECT, related_name="+")
    template = models.ForeignKey("retention.CustodyItem", null=True, on_delete=models.PROTECT, related_name="+")
    opened_at = models.DateTimeField(default=now)
    expires_at = models.DateTimeField()
    answered_at = models.DateTimeField(null=True)
    decided_at = models.DateTimeField(null=True)
    address_hash = models.CharField(max_length=64, blank=True)
    address_until = models.DateTimeField(null=True)

    class Meta:
        constraints: ClassVar = [
            state_known("state", ChallengeState, "challenge_state_known"),
            models.UniqueConstraint(
                fields=["person"], condition=Q(state=ChallengeState.OPEN.value), name="challenge_one_open_per_person"
            ),
            models.CheckConstraint(
                condition=Q(state__in=["open", "expired"]) | Q(answered_at__isnull=False, custody__isnull=False),
                name="challenge_answered_has_answer",
            ),
            models.CheckConstraint(
                condition=Q(state__in=["open", "answered", "held", "expired"]) | Q(decided_at__isnull=False),
                name="challenge_decided_has_time",
            ),
            models.CheckConstraint(
                condition=Q(state__in=["open", "answered", "refused", "inconclusive", "expired"])
                | Q(template__isnull=False),
                name="challenge_passed_has_template",
            ),
            models.CheckConstraint(
                condition=Q(answered_at__isnull=True) | Q(answered_at__lte=F("expires_at")),
                name="challenge_answered_in_time",
            ),
            models.CheckConstraint(
                condition=Q(address_hash="", address_until__isnull=True)
                | ~Q(address_hash="") & Q(address_until__isnull=False),
                name="challenge_address_has_deadline",
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["person", "-opened_at"], name="challenge_of_person"),
            models.Index(
                fields=["address_hash", "-answered_at"], condition=~Q(address_hash=""), name="challenge_from_address"
            ),
        ]


class Recording(models.Model):
    """Training speech one person offers after a passed challenge. ``custody`` is null until the content arrived."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    person = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="recordings")
    challenge = models.ForeignKey(Challenge, null=True, on_delete=models.PROTECT, related_name="recordings")
    review = models.ForeignKey(Review, null=True, on_delete=models.PROTECT, related_name="recordings")
    language = models.CharField(max_length=8)
    transcript = models.CharField(max_length=MAX_TRANSCRIPT)
    state = models.CharField(max_length=12, default=RecordingState.AWAITING.value)
    custody = models.ForeignKey("retention.CustodyItem", null=True, on_delete=models.PROTECT, related_name="+")
    seconds = models.FloatField(null=True)
    created_at = models.DateTimeField(default=now)
    decided_at = models.DateTimeField(null=True)

    class Meta:
        constraints: ClassVar = [
            state_known("state", RecordingState, "recording_state_known"),
            # Compared with a live voice, or stood for by two moderators: never neither, never both.
            models.CheckConstraint(
                condition=Q(challenge__isnull=False, review__isnull=True)
                | Q(challenge__isnull=True, review__isnull=False),
                name="recording_after_challenge_or_review",
            ),
            models.CheckConstraint(
                condition=Q(state="awaiting") | Q(custody__isnull=False), name="recording_received_has_content"
            ),
            models.CheckConstraint(
                condition=Q(state__in=["awaiting", "received", "examining"]) | Q(decided_at__isnull=False),
                name="recording_decided_has_time",
            ),
        ]


class Examination(models.Model):
    """What the examiners found. ``evidence`` is a list of measured values, thresholds, verdicts and model versions.

    A held examination waits for a moderator: the voice resembles one that is protected, or enrolled by somebody else.
    ``case_ref`` names the moderators' case.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    person = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    challenge = models.OneToOneField(Challenge, null=True, on_delete=models.PROTECT, related_name="examination")
    recording = models.OneToOneField(Recording, null=True, on_delete=models.PROTECT, related_name="examination")
    state = models.CharField(max_length=12, default=ExaminationState.QUEUED.value)
    verdict = models.CharField(max_length=12, blank=True)
    reason = models.CharField(max_length=60, blank=True)
    advice = models.JSONField(default=dict)
    evidence = models.JSONField(default=list)
    attempts = models.PositiveSmallIntegerField(default=0)
    started_at = models.DateTimeField(null=True)
    rehearsal = models.BooleanField()
    created_at = models.DateTimeField(default=now)
    decided_at = models.DateTimeField(null=True)
    leaf_index = models.BigIntegerField(null=True)
    case_ref = models.UUIDField(null=True)

    class Meta:
        constraints: ClassVar = [
            state_known("state", ExaminationState, "examination_state_known"),
            models.CheckConstraint(
                condition=Q(challenge__isnull=False, recording__isnull=True)
                | Q(challenge__isnull=True, recording__isnull=False),
                name="examination_of_one_thing",
            ),
            models.CheckConstraint(
                condition=Q(state__in=["done", "failed"], decided_at__isnull=False, leaf_index__isnull=False)
                & Q(verdict__in=["pass", "refuse", "inconclusive"])
                | Q(state__in=["queued", "running", "held"], verdict=""),
                name="examination_decided_whole",
            ),
            models.CheckConstraint(
                condition=~Q(state="held") | Q(case_ref__isnull=False), name="examination_held_has_case"
            ),
            # A failed examination can never have let anybody through.
            models.CheckConstraint(
                condition=~Q(state="failed") | ~Q(verdict="pass"), name="examination_failed_never_passes"
            ),
        ]


class Consent(models.Model):
    """What a person agreed to, in which text, on which evidence. Only its end is ever written to it again.

    ``statement`` is the exact content of the receipt; its SHA-256 stands in the log leaf ``leaf_index``, and
    ``signature`` (hex) is the log key's over its compact form (`consent.compact`). A renewal is a new row that names
    its ``former``; ``version`` counts along that chain. ``basis`` is how the speaker was known: by the live challenge
    (``self``), by the live challenge at a representative's account (``representative``), or by two moderators alone
    (``without_biometrics``: no challenge, no template).
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    person = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="consents")
    challenge = models.OneToOneField(Challenge, null=True, on_delete=models.PROTECT, related_name="consent")
    former = models.OneToOneField("self", null=True, on_delete=models.PROTECT, related_name="renewal")
    version = models.PositiveSmallIntegerField(default=1)
    basis = models.CharField(max_length=20, choices=BASES, default=SELF)
    review = models.OneToOneField(Review, null=True, on_delete=models.PROTECT, related_name="consent")
    recordings = models.ManyToManyField(Recording, related_name="consents")
    uses = models.JSONField()
    languages = models.JSONField()
    territory = models.CharField(max_length=200)
    valid_until = models.DateTimeField()
    text_version = models.CharField(max_length=40)
    text_sha256 = models.CharField(max_length=64)
    biometric_release = models.CharField(max_length=40, blank=True)
    biometric_sha256 = models.CharField(max_length=64, blank=True)
    evidence = models.JSONField()
    statement = models.JSONField()
    signature = models.CharField(max_length=128, blank=True)
    state = models.CharField(max_length=12, default=ConsentState.ACTIVE.value)
    template_key = models.ForeignKey("vault.VaultKey", null=True, on_delete=models.PROTECT, related_name="+")
    template = models.ForeignKey("vault.SealedObject", null=True, on_delete=models.PROTECT, related_name="+")
    rehearsal = models.BooleanField()
    leaf_index = models.BigIntegerField()
    given_at = models.DateTimeField(default=now)
    ended_at = models.DateTimeField(null=True)
    ended_leaf = models.BigIntegerField(null=True)

    class Meta:
        constraints: ClassVar = [
            state_known("state", ConsentState, "consent_state_known"),
            models.CheckConstraint(
                condition=Q(state="active", ended_at__isnull=True)
                | Q(state__in=["withdrawn", "expired", "renewed"], ended_at__isnull=False, ended_leaf__isnull=False),
                name="consent_ended_has_time_and_leaf",
            ),
            models.CheckConstraint(condition=Q(valid_until__gt=F("given_at")), name="consent_has_a_term"),
            models.CheckConstraint(
                condition=Q(former__isnull=True, version=1) | Q(former__isnull=False, version__gte=2),
                name="consent_version_counts_renewals",
            ),
            # Without a live voice there are two moderators; with one there are its template and its release.
            models.CheckConstraint(
                condition=Q(
                    basis=WITHOUT_BIOMETRICS,
                    review__isnull=False,
                    challenge__isnull=True,
                    template__isnull=True,
                    template_key__isnull=True,
                )
                | Q(challenge__isnull=False, template__isnull=False, template_key__isnull=False)
                & ~Q(biometric_release="")
                & (Q(basis=SELF, review__isnull=True) | Q(basis=REPRESENTATIVE, review__isnull=False)),
                name="consent_rests_on_its_basis",
            ),
        ]
