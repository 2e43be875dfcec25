"""Challenges, recordings, examinations, consents, licences: who may use which voice, and how we know.

No audio and no text of a person lies here in a form that outlives its purpose: recordings are custody items, speaker
templates sealed objects, evidence is numbers and hashes.
"""

import uuid
from enum import StrEnum
from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import F, Q

from consent.compact import REPRESENTATIVE, SELF, WITHOUT_BIOMETRICS
from consent.review_models import Review, ReviewDocument, ReviewVote
from consent.states import (
    ChallengeState,
    ConsentState,
    ExaminationState,
    LicenceState,
    OfferState,
    RecordingState,
)
from foundation.clock import now

__all__ = [
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
MAX_TERM_DAYS = 3650
"""Ten years: the longest term a voice licence may have under the proposed NO FAKES Act, and long enough anywhere."""
MAX_CHARACTERS = 1_000_000_000
"""The largest licence cap; keeps every counter far inside a 64-bit integer."""
BASES = [(one, one) for one in (SELF, REPRESENTATIVE, WITHOUT_BIOMETRICS)]


def _known(field: str, states: type[StrEnum], name: str) -> models.CheckConstraint:
    return models.CheckConstraint(condition=Q(**{f"{field}__in": [s.value for s in states]}), name=name)


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
            _known("state", ChallengeState, "challenge_state_known"),
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
            _known("state", RecordingState, "recording_state_known"),
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
            _known("state", ExaminationState, "examination_state_known"),
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
            _known("state", ConsentState, "consent_state_known"),
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


class LicenceText(models.Model):
    """A text that licences were granted in, as it was published: written once, kept for good (`licence_classes`)."""

    id = models.CharField(max_length=40, primary_key=True)
    sha256 = models.CharField(max_length=64)
    texts = models.JSONField()
    limits = models.JSONField()
    kept_at = models.DateTimeField(default=now)


class Licence(models.Model):
    """A grant derived from a consent: one person may have so many characters spoken in that voice until then.

    ``scope`` (see `consent.scopes`) and ``statement``, what both parties signed, never change; ``signature`` (hex) is
    the log key's over it. Caps and counters of sound are milliseconds; no cap: no bound of that kind. The database lets
    a licence's term only become shorter.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    consent = models.ForeignKey(Consent, on_delete=models.PROTECT, related_name="licences")
    licensee = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="licences")
    scope = models.JSONField()
    characters_cap = models.BigIntegerField()
    characters_used = models.BigIntegerField(default=0)
    characters_reserved = models.BigIntegerField(default=0)
    milliseconds_cap = models.BigIntegerField(null=True)
    milliseconds_used = models.BigIntegerField(default=0)
    milliseconds_reserved = models.BigIntegerField(default=0)
    outputs_cap = models.BigIntegerField(null=True)
    outputs_used = models.BigIntegerField(default=0)
    outputs_reserved = models.BigIntegerField(default=0)
    text = models.ForeignKey(LicenceText, null=True, on_delete=models.PROTECT, related_name="+")
    statement = models.JSONField(default=dict)
    signature = models.CharField(max_length=128, blank=True)
    notice_given_at = models.DateTimeField(null=True)
    stop_reason = models.CharField(max_length=500, blank=True)
    stop_salt = models.CharField(max_length=128, blank=True)
    valid_until = models.DateTimeField()
    state = models.CharField(max_length=12, default=LicenceState.ACTIVE.value)
    ended_at = models.DateTimeField(null=True)
    ended_reason = models.CharField(max_length=60, blank=True)
    rehearsal = models.BooleanField()
    leaf_index = models.BigIntegerField()
    granted_at = models.DateTimeField(default=now)

    class Meta:
        constraints: ClassVar = [
            _known("state", LicenceState, "licence_state_known"),
            models.CheckConstraint(
                condition=Q(characters_used__gte=0, characters_reserved__gte=0)
                & Q(characters_cap__gte=1, characters_cap__lte=MAX_CHARACTERS)
                & Q(characters_cap__gte=F("characters_used") + F("characters_reserved")),
                name="licence_within_cap",
            ),
            models.CheckConstraint(
                condition=Q(milliseconds_used__gte=0, milliseconds_reserved__gte=0)
                & Q(outputs_used__gte=0, outputs_reserved__gte=0)
                & (
                    Q(milliseconds_cap__isnull=True)
                    | Q(milliseconds_cap__gte=F("milliseconds_used") + F("milliseconds_reserved"))
                )
                & (Q(outputs_cap__isnull=True) | Q(outputs_cap__gte=F("outputs_used") + F("outputs_reserved"))),
                name="licence_within_other_caps",
            ),
            models.CheckConstraint(
                condition=Q(state="active", ended_at__isnull=True, ended_reason="")
                | Q(state="ended", ended_at__isnull=False) & ~Q(ended_reason=""),
                name="licence_ended_has_time_and_reason",
            ),
        ]
        indexes: ClassVar = [models.Index(fields=["licensee", "consent"], name="licence_of_person")]


class LicenceSeat(models.Model):
    """One more person who may use a licence: invited by its holder with a code, until given back.

    ``code_sha256`` of a code that is sent outside; empty once somebody has joined with it.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    licence = models.ForeignKey(Licence, on_delete=models.PROTECT, related_name="seats")
    person = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")
    code_sha256 = models.CharField(max_length=64, blank=True, db_index=True)
    made_at = models.DateTimeField(default=now)
    joined_at = models.DateTimeField(null=True)
    returned_at = models.DateTimeField(null=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["licence", "person"], condition=Q(returned_at__isnull=True), name="seat_once_per_person"
            ),
            models.CheckConstraint(
                condition=Q(person__isnull=True, joined_at__isnull=True)
                | Q(person__isnull=False, joined_at__isnull=False, code_sha256=""),
                name="seat_joined_whole",
            ),
        ]


class LicenceOffer(models.Model):
    """Terms that one side signed and the other may sign, counter or decline. A counter is a new row that names its
    ``former``; only how an offer ended is ever written to it again. ``act``: the proposer's own (`consent.acts`).
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    consent = models.ForeignKey(Consent, on_delete=models.PROTECT, related_name="offers")
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    licensee = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="licence_offers")
    by_owner = models.BooleanField()
    former = models.OneToOneField("self", null=True, on_delete=models.PROTECT, related_name="counter")
    text = models.ForeignKey(LicenceText, on_delete=models.PROTECT, related_name="+")
    scope = models.JSONField()
    characters = models.BigIntegerField()
    days = models.PositiveIntegerField()
    act = models.JSONField()
    salt = models.CharField(max_length=64)
    state = models.CharField(max_length=12, default=OfferState.OPEN.value)
    licence = models.OneToOneField(Licence, null=True, on_delete=models.PROTECT, related_name="offer")
    made_at = models.DateTimeField(default=now)
    expires_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)

    class Meta:
        constraints: ClassVar = [
            _known("state", OfferState, "offer_state_known"),
            models.CheckConstraint(condition=~Q(owner=F("licensee")), name="offer_not_to_oneself"),
            models.CheckConstraint(
                condition=Q(characters__gte=1, characters__lte=MAX_CHARACTERS)
                & Q(days__gte=1, days__lte=MAX_TERM_DAYS),
                name="offer_bounds",
            ),
            models.CheckConstraint(
                condition=Q(state="open", ended_at__isnull=True) | ~Q(state="open") & Q(ended_at__isnull=False),
                name="offer_ended_has_time",
            ),
            models.CheckConstraint(
                condition=Q(state="signed", licence__isnull=False) | ~Q(state="signed") & Q(licence__isnull=True),
                name="offer_signed_has_licence",
            ),
            models.UniqueConstraint(
                fields=["consent", "licensee"], condition=Q(state="open"), name="offer_one_open_per_person"
            ),
        ]
