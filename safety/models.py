"""Cases that moderators decide, reports that open them, restrictions the gate obeys, voices that are searched for.

What surrounds a case on the desk (rulings, statements, appeals, notices …) is in `safety.desk_models`.
"""

import uuid
from typing import ClassVar

from django.db import models
from django.db.models import F, Q

from foundation.clock import now
from foundation.identity.models import Person
from foundation.vault.models import SealedObject, VaultKey
from safety.desk_models import (
    Appeal,
    AppealMessage,
    Check,
    DeskTally,
    Exposure,
    Golden,
    Note,
    Notice,
    Ruling,
    Statement,
    Strike,
)
from safety.policy.models import PolicyDecision, PolicyPack, PolicyTextKey
from safety.sizes import CLAUSE_CHARS, REASON_CHARS, REF_CHARS
from safety.states import (
    CaseKind,
    CaseState,
    Decision,
    Effect,
    ProtectionSource,
    ProtectionState,
    RestrictionState,
    SearchKeyState,
    SubjectKind,
)

__all__ = [
    "CLAUSE_CHARS",
    "REASON_CHARS",
    "REF_CHARS",
    "Appeal",
    "AppealMessage",
    "BankOrigin",
    "Case",
    "Check",
    "DeskTally",
    "EnrolledVoice",
    "Exposure",
    "Golden",
    "Note",
    "Notice",
    "PolicyDecision",
    "PolicyPack",
    "PolicyTextKey",
    "ProtectedVoice",
    "Report",
    "Restriction",
    "Ruling",
    "SearchKey",
    "Statement",
    "Strike",
]


class Case(models.Model):
    """Something a moderator must decide: a held text, what people reported, or a live voice that resembles another.

    ``text`` is shown to moderators only. A claim is a lease: it ends at ``claimed_until`` whoever forgets it.
    ``text_salt`` and ``decision_salt`` open the commitments to the text and the reason that stand in the log.
    ``matches``: of a voice match, whom the live voice resembles and how much (see `safety.matches`).
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    kind = models.CharField(max_length=16, choices=CaseKind.choices)
    state = models.CharField(max_length=16, choices=CaseState.choices, default=CaseState.OPEN)
    severity = models.PositiveSmallIntegerField()
    report_count = models.PositiveIntegerField(default=0)
    subject_kind = models.CharField(max_length=16, choices=SubjectKind.choices)
    subject_ref = models.CharField(max_length=REF_CHARS)
    opened_at = models.DateTimeField(default=now)
    #: When it should be decided by (`safety.service_levels`); empty for what was decided before levels were kept.
    due_at = models.DateTimeField(null=True)

    requester = models.ForeignKey(Person, null=True, on_delete=models.PROTECT, related_name="held_cases")
    voice_ref = models.CharField(max_length=REF_CHARS, blank=True)
    text = models.TextField(blank=True)
    text_digest = models.CharField(max_length=64, blank=True)
    text_salt = models.CharField(max_length=128, blank=True)
    rule = models.CharField(max_length=CLAUSE_CHARS, blank=True)
    clause = models.CharField(max_length=CLAUSE_CHARS, blank=True)
    pack = models.CharField(max_length=140, blank=True)
    pack_sha256 = models.CharField(max_length=64, blank=True)
    matches = models.JSONField(default=list)

    claimed_by = models.ForeignKey(Person, null=True, on_delete=models.PROTECT, related_name="claimed_cases")
    first_claimed_at = models.DateTimeField(null=True)
    last_claimed_at = models.DateTimeField(null=True)
    claimed_until = models.DateTimeField(null=True)
    #: The last sign of the holder, and the seconds between such signs in sum.
    beat_at = models.DateTimeField(null=True)
    handling_seconds = models.PositiveIntegerField(default=0)

    decision = models.CharField(max_length=16, choices=Decision.choices, blank=True)
    decided_by = models.ForeignKey(Person, null=True, on_delete=models.PROTECT, related_name="decided_cases")
    decided_at = models.DateTimeField(null=True)
    decision_reason = models.CharField(max_length=REASON_CHARS, blank=True)
    decision_salt = models.CharField(max_length=128, blank=True)
    decision_clause = models.CharField(max_length=CLAUSE_CHARS, blank=True)
    leaf_index = models.BigIntegerField(null=True)
    #: The decided case that this one takes back, opened and decided in one act (`safety.reversals`).
    reverses = models.OneToOneField("self", null=True, on_delete=models.PROTECT, related_name="reversed_by")

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(condition=Q(kind__in=CaseKind.values), name="case_kind_known"),
            models.CheckConstraint(condition=Q(state__in=CaseState.values), name="case_state_known"),
            models.CheckConstraint(condition=Q(subject_kind__in=SubjectKind.values), name="case_subject_known"),
            models.CheckConstraint(condition=Q(severity__range=(1, 3)), name="case_severity_range"),
            models.CheckConstraint(
                condition=Q(state=CaseState.OPEN)
                | Q(claimed_by__isnull=False, claimed_until__isnull=False, first_claimed_at__isnull=False),
                name="case_claimed_by_somebody",
            ),
            models.CheckConstraint(
                condition=Q(state=CaseState.DECIDED, decided_by__isnull=False, decided_at__isnull=False)
                & ~Q(decision="")
                & ~Q(decision_reason="")
                & ~Q(decision_clause="")
                | ~Q(state=CaseState.DECIDED) & Q(decision="", decided_by__isnull=True, decided_at__isnull=True),
                name="case_decided_whole",
            ),
            models.CheckConstraint(
                condition=~Q(state=CaseState.OPEN) | Q(claimed_by__isnull=True), name="case_open_is_nobodys"
            ),
            models.CheckConstraint(
                condition=Q(requester__isnull=True) | Q(decided_by__isnull=True) | ~Q(decided_by=F("requester")),
                name="case_never_decided_by_requester",
            ),
            models.UniqueConstraint(
                fields=["subject_kind", "subject_ref"],
                condition=Q(kind=CaseKind.REPORT) & ~Q(state=CaseState.DECIDED),
                name="case_one_open_report_per_subject",
            ),
            models.UniqueConstraint(
                fields=["kind", "subject_kind", "subject_ref"],
                condition=Q(kind__in=["trace", "licence_dispute", "output_drift", "notice"])
                & ~Q(state=CaseState.DECIDED),
                name="case_one_open_finding",
            ),
            models.UniqueConstraint(
                fields=["text_digest", "voice_ref", "requester"],
                condition=Q(kind=CaseKind.HOLD) & ~Q(state=CaseState.DECIDED),
                name="case_one_open_hold_per_text",
            ),
            models.UniqueConstraint(
                fields=["requester"],
                condition=Q(kind=CaseKind.VOICE_MATCH) & ~Q(state=CaseState.DECIDED),
                name="case_one_open_match_per_person",
            ),
            models.CheckConstraint(
                condition=~Q(kind=CaseKind.VOICE_MATCH) | Q(requester__isnull=False), name="case_match_has_requester"
            ),
        ]
        indexes: ClassVar = [
            models.Index(F("severity").desc(), F("opened_at"), condition=~Q(state="decided"), name="case_queue"),
            models.Index(fields=["text_digest", "voice_ref", "requester"], name="case_by_text"),
            # The desk's pages: one walk along one of these, whatever lies in the archive.
            models.Index(
                F("severity").desc(),
                F("opened_at"),
                F("id"),
                condition=Q(state__in=["open", "claimed"]),
                name="case_desk",
            ),
            models.Index(
                F("kind"),
                F("severity").desc(),
                F("opened_at"),
                F("id"),
                condition=Q(state__in=["open", "claimed"]),
                name="case_desk_kind",
            ),
            # How many wait, and how many of them are late: counted from the index alone.
            models.Index(fields=["kind", "due_at"], condition=~Q(state="decided"), name="case_waiting"),
            models.Index(F("decided_at").desc(), F("id"), condition=Q(state="decided"), name="case_archive"),
            models.Index(fields=["claimed_by"], condition=Q(state="claimed"), name="case_held_by"),
            models.Index(F("voice_ref"), F("opened_at").desc(), condition=~Q(voice_ref=""), name="case_by_voice"),
            models.Index(F("subject_ref"), F("opened_at").desc(), name="case_by_subject"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.id}"


class Report(models.Model):
    """One person's report. Reports of one subject share a case while it is undecided."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    case = models.ForeignKey(Case, on_delete=models.PROTECT, related_name="reports")
    reporter = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="reports")
    text = models.CharField(max_length=REASON_CHARS)
    text_salt = models.CharField(max_length=128)
    created_at = models.DateTimeField(default=now)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["case", "reporter"], name="report_once_per_case"),
        ]

    def __str__(self) -> str:
        return f"report {self.id}"


class Restriction(models.Model):
    """A moderator's decision as the gate sees it. Never deleted: lifting is a state, with its own reason."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    subject_kind = models.CharField(max_length=16, choices=SubjectKind.choices)
    subject_ref = models.CharField(max_length=REF_CHARS)
    effect = models.CharField(max_length=16, choices=Effect.choices)
    state = models.CharField(max_length=16, choices=RestrictionState.choices, default=RestrictionState.ACTIVE)
    reason = models.CharField(max_length=REASON_CHARS)
    reason_salt = models.CharField(max_length=128)
    clause = models.CharField(max_length=CLAUSE_CHARS)
    case = models.ForeignKey(Case, null=True, on_delete=models.PROTECT, related_name="restrictions")
    made_by = models.ForeignKey(Person, null=True, on_delete=models.PROTECT, related_name="restrictions_made")
    made_at = models.DateTimeField(default=now)
    lifted_by = models.ForeignKey(Person, null=True, on_delete=models.PROTECT, related_name="restrictions_lifted")
    lifted_at = models.DateTimeField(null=True)
    lift_reason = models.CharField(max_length=REASON_CHARS, blank=True)
    lift_salt = models.CharField(max_length=128, blank=True)
    leaf_index = models.BigIntegerField(null=True)
    #: Some blocks end by themselves; without a time it stands until it is lifted.
    expires_at = models.DateTimeField(null=True)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(condition=Q(subject_kind__in=SubjectKind.values), name="restriction_subject_known"),
            models.CheckConstraint(condition=Q(effect__in=Effect.values), name="restriction_effect_known"),
            models.CheckConstraint(
                condition=Q(state=RestrictionState.ACTIVE, lifted_at__isnull=True, lift_reason="")
                | Q(state=RestrictionState.LIFTED, lifted_at__isnull=False) & ~Q(lift_reason=""),
                name="restriction_lifted_with_reason",
            ),
            models.UniqueConstraint(
                fields=["subject_kind", "subject_ref", "effect"],
                condition=Q(state=RestrictionState.ACTIVE),
                name="restriction_once_while_active",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.effect} on {self.subject_kind} {self.subject_ref}"


class SearchKey(models.Model):
    """One generation of the secret projection that search templates are kept under (see `safety.projection`).

    The secret lies sealed under a vault key of its own: destroying that key makes every copy of the templates
    projected with it worthless.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    key = models.OneToOneField(VaultKey, on_delete=models.PROTECT, related_name="+")
    secret = models.OneToOneField(SealedObject, on_delete=models.PROTECT, related_name="+")
    state = models.CharField(max_length=16, choices=SearchKeyState.choices, default=SearchKeyState.ACTIVE)
    created_at = models.DateTimeField(default=now)
    retired_at = models.DateTimeField(null=True)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(state=SearchKeyState.ACTIVE, retired_at__isnull=True)
                | Q(state=SearchKeyState.RETIRED, retired_at__isnull=False),
                name="search_key_retired_has_time",
            ),
            models.UniqueConstraint(
                fields=["state"], condition=Q(state=SearchKeyState.ACTIVE), name="search_key_one_active"
            ),
        ]

    def __str__(self) -> str:
        return f"search key {self.id}"


class BankOrigin(models.Model):
    """Another platform whose bank of protected voices is imported here.

    ``public_key`` (Ed25519, hex) is pinned by the first import; ``exported_at``: of the latest file taken, for an older
    one may not bring back what was removed since.
    """

    name = models.CharField(max_length=120, primary_key=True)
    public_key = models.CharField(max_length=64)
    exported_at = models.DateTimeField()
    imported_at = models.DateTimeField(default=now)

    def __str__(self) -> str:
        return f"bank of {self.name}"


class ProtectedVoice(models.Model):
    """A voice nobody may clone. Its projected embedding lies sealed in the vault; only ``label`` is readable here.

    ``person``: whose own voice it is, or who represents them; ``basis_ref``: the live challenge or the review that
    shows it. ``public_name``: of a public figure whose name texts may use. ``bank`` and ``bank_ref``: where it was
    imported from (see `safety.exchange`), and its id there.
    Without a ``search_key`` it was sealed before templates were projected; ``manage.py rekey_protected`` projects it.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    label = models.CharField(max_length=120)
    dimensions = models.PositiveSmallIntegerField()
    template = models.OneToOneField(SealedObject, on_delete=models.PROTECT, related_name="+")
    search_key = models.ForeignKey(SearchKey, null=True, on_delete=models.PROTECT, related_name="+")
    state = models.CharField(max_length=16, choices=ProtectionState.choices, default=ProtectionState.ACTIVE)
    source = models.CharField(max_length=16, choices=ProtectionSource.choices, default=ProtectionSource.MODERATOR)
    person = models.ForeignKey(Person, null=True, on_delete=models.PROTECT, related_name="protected_voices")
    basis_ref = models.CharField(max_length=REF_CHARS, blank=True)
    public_name = models.CharField(max_length=120, blank=True)
    bank = models.ForeignKey("BankOrigin", null=True, on_delete=models.PROTECT, related_name="voices")
    bank_ref = models.CharField(max_length=REF_CHARS, blank=True)
    removed_at = models.DateTimeField(null=True)
    added_by = models.ForeignKey(Person, null=True, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(default=now)
    leaf_index = models.BigIntegerField(null=True)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(condition=Q(state__in=ProtectionState.values), name="protected_state_known"),
            models.CheckConstraint(condition=Q(source__in=ProtectionSource.values), name="protected_source_known"),
            models.CheckConstraint(
                condition=Q(source=ProtectionSource.BANK, bank__isnull=False, person__isnull=True)
                | ~Q(source=ProtectionSource.BANK) & Q(bank__isnull=True),
                name="protected_bank_has_origin",
            ),
            models.CheckConstraint(
                condition=~Q(source__in=["own", "representative"]) | Q(person__isnull=False) & ~Q(basis_ref=""),
                name="protected_of_a_person_has_basis",
            ),
            models.UniqueConstraint(
                fields=["person"], condition=Q(source="own", state="active"), name="protected_own_once"
            ),
            models.UniqueConstraint(fields=["basis_ref"], condition=~Q(basis_ref=""), name="protected_once_per_basis"),
            models.UniqueConstraint(
                fields=["bank", "bank_ref"],
                condition=Q(bank__isnull=False, state="active"),
                name="protected_once_per_bank_entry",
            ),
        ]

    def __str__(self) -> str:
        return f"protected voice {self.id}"


class EnrolledVoice(models.Model):
    """The voice of a consent in force, to be found again when another account offers it. It ends with the consent.

    ``consent_ref`` is the consent's id: this room does not know consents.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    person = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="+")
    consent_ref = models.CharField(max_length=REF_CHARS, unique=True)
    dimensions = models.PositiveSmallIntegerField()
    template = models.OneToOneField(SealedObject, on_delete=models.PROTECT, related_name="+")
    search_key = models.ForeignKey(SearchKey, on_delete=models.PROTECT, related_name="+")
    state = models.CharField(max_length=16, choices=ProtectionState.choices, default=ProtectionState.ACTIVE)
    created_at = models.DateTimeField(default=now)
    removed_at = models.DateTimeField(null=True)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(state=ProtectionState.ACTIVE, removed_at__isnull=True)
                | Q(state=ProtectionState.REMOVED, removed_at__isnull=False),
                name="enrolled_removed_has_time",
            ),
        ]

    def __str__(self) -> str:
        return f"enrolled voice {self.id}"
