"""What surrounds a case on the desk: rulings that wait, notes, statements of reasons, appeals, strikes, blind checks,
notices from outside, and what a moderator has been exposed to."""

import uuid
from typing import ClassVar

from django.db import models
from django.db.models import F, Q

from foundation.clock import now
from foundation.identity.models import Person
from safety.sizes import CLAUSE_CHARS, REASON_CHARS, REF_CHARS
from safety.states import AppealOutcome, AppealState, CaseKind, Decision, NoticeState, RulingState, SubjectKind


class Ruling(models.Model):
    """A moderator's decision from the moment it is made: it may wait for a second person, and can be undone in time.

    Only a settled ruling becomes the case's decision. ``due_at``: when its effects begin; empty while a second person
    has to agree. ``carried_out_at``: when the rooms above had done their part.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    case = models.ForeignKey("safety.Case", on_delete=models.PROTECT, related_name="rulings")
    decision = models.CharField(max_length=16, choices=Decision.choices)
    reason = models.CharField(max_length=REASON_CHARS)
    clause = models.CharField(max_length=CLAUSE_CHARS)
    state = models.CharField(max_length=16, choices=RulingState.choices)
    made_by = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="rulings_made")
    made_at = models.DateTimeField(default=now)
    due_at = models.DateTimeField(null=True)
    second_by = models.ForeignKey(Person, null=True, on_delete=models.PROTECT, related_name="rulings_seconded")
    second_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    carried_out_at = models.DateTimeField(null=True)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(condition=Q(state__in=RulingState.values), name="ruling_state_known"),
            models.CheckConstraint(
                condition=Q(second_by__isnull=True) | ~Q(second_by=F("made_by")), name="ruling_second_is_another"
            ),
            models.CheckConstraint(
                condition=~Q(decision__in=["destroy", "ban"])
                | ~Q(state__in=["waiting", "settled"])
                | Q(second_by__isnull=False),
                name="ruling_irreversible_has_second",
            ),
            models.CheckConstraint(
                condition=~Q(state__in=["waiting", "settled"]) | Q(due_at__isnull=False), name="ruling_waits_until"
            ),
            models.UniqueConstraint(
                fields=["case"], condition=Q(state__in=["second", "waiting"]), name="ruling_one_at_a_time"
            ),
            models.UniqueConstraint(fields=["case"], condition=Q(state="settled"), name="ruling_settles_once"),
        ]
        indexes: ClassVar = [
            models.Index(fields=["due_at"], condition=Q(state="waiting"), name="ruling_due"),
            models.Index(fields=["made_at"], condition=Q(state="second"), name="ruling_seconds"),
            models.Index(
                fields=["ended_at"],
                condition=Q(state="settled", carried_out_at__isnull=True),
                name="ruling_to_carry_out",
            ),
        ]

    def __str__(self) -> str:
        return f"ruling {self.id}"


class Note(models.Model):
    """What moderators tell each other about a case. The person concerned never sees it here."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    case = models.ForeignKey("safety.Case", on_delete=models.PROTECT, related_name="notes")
    author = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="desk_notes")
    text = models.CharField(max_length=REASON_CHARS)
    created_at = models.DateTimeField(default=now)

    def __str__(self) -> str:
        return f"note {self.id}"


class Statement(models.Model):
    """The statement of reasons one person gets for one decision against them (DSA Art. 17).

    ``facts`` holds the fields of the article as data; the words are made from them in the reader's language.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    case = models.OneToOneField("safety.Case", on_delete=models.PROTECT, related_name="statement")
    person = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="statements_of_reasons")
    facts = models.JSONField()
    made_at = models.DateTimeField(default=now)
    read_at = models.DateTimeField(null=True)
    appeal_until = models.DateTimeField()

    def __str__(self) -> str:
        return f"statement {self.id}"


class Appeal(models.Model):
    """The person's "no": decided once, by a moderator who had no part in the decision."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    statement = models.OneToOneField(Statement, on_delete=models.PROTECT, related_name="appeal")
    person = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="appeals")
    state = models.CharField(max_length=16, choices=AppealState.choices, default=AppealState.OPEN)
    opened_at = models.DateTimeField(default=now)
    due_at = models.DateTimeField()
    first_by = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="appeals_against")
    second_by = models.ForeignKey(Person, null=True, on_delete=models.PROTECT, related_name="appeals_against_second")
    outcome = models.CharField(max_length=16, choices=AppealOutcome.choices, blank=True)
    reason = models.CharField(max_length=REASON_CHARS, blank=True)
    decided_by = models.ForeignKey(Person, null=True, on_delete=models.PROTECT, related_name="appeals_decided")
    decided_at = models.DateTimeField(null=True)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(state="open", decided_by__isnull=True, decided_at__isnull=True, outcome="")
                | Q(state="decided", decided_by__isnull=False, decided_at__isnull=False)
                & ~Q(outcome="")
                & ~Q(reason=""),
                name="appeal_decided_whole",
            ),
            models.CheckConstraint(
                condition=Q(decided_by__isnull=True) | ~Q(decided_by=F("first_by")), name="appeal_by_another"
            ),
            models.CheckConstraint(
                condition=Q(decided_by__isnull=True) | Q(second_by__isnull=True) | ~Q(decided_by=F("second_by")),
                name="appeal_by_a_third",
            ),
            models.CheckConstraint(
                condition=Q(decided_by__isnull=True) | ~Q(decided_by=F("person")), name="appeal_never_by_appellant"
            ),
        ]
        indexes: ClassVar = [models.Index(fields=["due_at"], condition=Q(state="open"), name="appeal_due")]

    def __str__(self) -> str:
        return f"appeal {self.id}"


class AppealMessage(models.Model):
    """One message of an appeal's thread; ``from_desk`` tells the desk's words from the person's."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    appeal = models.ForeignKey(Appeal, on_delete=models.PROTECT, related_name="messages")
    author = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="appeal_messages")
    from_desk = models.BooleanField()
    text = models.CharField(max_length=REASON_CHARS)
    created_at = models.DateTimeField(default=now)

    def __str__(self) -> str:
        return f"message {self.id}"


class Strike(models.Model):
    """One upheld infringement of a person. It counts until it expires, or is taken back with its decision."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    person = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="strikes")
    case = models.OneToOneField("safety.Case", on_delete=models.PROTECT, related_name="strike")
    points = models.PositiveSmallIntegerField()
    given_at = models.DateTimeField(default=now)
    expires_at = models.DateTimeField()
    removed_at = models.DateTimeField(null=True)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(condition=Q(points__range=(1, 3)), name="strike_points_range"),
            models.CheckConstraint(condition=Q(expires_at__gt=F("given_at")), name="strike_expires_later"),
        ]
        indexes: ClassVar = [models.Index(fields=["person", "expires_at"], name="strike_of_person")]

    def __str__(self) -> str:
        return f"strike {self.id}"


class Golden(models.Model):
    """A decided case whose right decision a senior has settled: moderators meet it blind, to see whether they agree."""

    case = models.OneToOneField("safety.Case", primary_key=True, on_delete=models.PROTECT, related_name="golden")
    expected = models.CharField(max_length=16, choices=Decision.choices)
    made_by = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="golden_cases")
    made_at = models.DateTimeField(default=now)
    active = models.BooleanField(default=True)

    def __str__(self) -> str:
        return f"golden case {self.case_id}"


class Check(models.Model):
    """A decided case shown to another moderator as if it were new. What they decide has no effect but a figure.

    ``expected``: the first moderator's decision (kind ``second``) or the settled one (kind ``golden``).
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    kind = models.CharField(max_length=8, choices=[("second", "Second review"), ("golden", "Golden case")])
    case = models.ForeignKey("safety.Case", on_delete=models.PROTECT, related_name="checks")
    expected = models.CharField(max_length=16, choices=Decision.choices)
    first_by = models.ForeignKey(Person, null=True, on_delete=models.PROTECT, related_name="checks_of")
    reviewer = models.ForeignKey(Person, null=True, on_delete=models.PROTECT, related_name="checks_made")
    taken_at = models.DateTimeField(null=True)
    decision = models.CharField(max_length=16, choices=Decision.choices, blank=True)
    clause = models.CharField(max_length=CLAUSE_CHARS, blank=True)
    created_at = models.DateTimeField(default=now)
    decided_at = models.DateTimeField(null=True)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(first_by__isnull=True) | Q(reviewer__isnull=True) | ~Q(first_by=F("reviewer")),
                name="check_by_another",
            ),
            models.CheckConstraint(
                condition=Q(decided_at__isnull=True, decision="")
                | Q(decided_at__isnull=False, reviewer__isnull=False) & ~Q(decision=""),
                name="check_decided_whole",
            ),
            models.UniqueConstraint(fields=["case"], condition=Q(kind="second"), name="check_one_second_review"),
            models.UniqueConstraint(
                fields=["case", "reviewer"], condition=Q(kind="golden"), name="check_golden_once_each"
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["created_at"], condition=Q(decided_at__isnull=True), name="check_waiting"),
            models.Index(fields=["decided_at"], condition=Q(decided_at__isnull=False), name="check_done"),
        ]

    def __str__(self) -> str:
        return f"check {self.id}"


class Notice(models.Model):
    """A takedown notice from outside, by the fields of the NO FAKES bill and of DSA Art. 16.

    The sender has no account: ``token_digest`` is the SHA-256 of the secret with which they look at its state.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    form = models.CharField(max_length=12, choices=[("no_fakes", "NO FAKES"), ("dsa", "DSA Art. 16")])
    state = models.CharField(max_length=16, choices=NoticeState.choices, default=NoticeState.RECEIVED)
    subject_kind = models.CharField(max_length=16, choices=SubjectKind.choices)
    subject_ref = models.CharField(max_length=REF_CHARS)
    sender_name = models.CharField(max_length=200)
    sender_email = models.EmailField(max_length=254)
    sender_address = models.CharField(max_length=400, blank=True)
    sender_phone = models.CharField(max_length=40, blank=True)
    individual = models.CharField(max_length=200, blank=True)
    standing = models.CharField(max_length=16)
    claim = models.CharField(max_length=REASON_CHARS)
    signature = models.CharField(max_length=200)
    good_faith = models.BooleanField()
    accurate = models.BooleanField()
    authorised = models.BooleanField(default=False)
    salt = models.CharField(max_length=128)
    token_digest = models.CharField(max_length=64, unique=True)
    case = models.ForeignKey("safety.Case", null=True, on_delete=models.PROTECT, related_name="notices")
    received_at = models.DateTimeField(default=now)
    triage_due_at = models.DateTimeField()
    action_due_at = models.DateTimeField()
    triaged_by = models.ForeignKey(Person, null=True, on_delete=models.PROTECT, related_name="notices_triaged")
    triaged_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    answer = models.CharField(max_length=REASON_CHARS, blank=True)
    counter_by = models.ForeignKey(Person, null=True, on_delete=models.PROTECT, related_name="counter_notices")
    counter_text = models.CharField(max_length=REASON_CHARS, blank=True)
    counter_signature = models.CharField(max_length=200, blank=True)
    countered_at = models.DateTimeField(null=True)
    restore_due_at = models.DateTimeField(null=True)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(condition=Q(state__in=NoticeState.values), name="notice_state_known"),
            models.CheckConstraint(condition=Q(good_faith=True, accurate=True), name="notice_sworn"),
            models.CheckConstraint(
                condition=~Q(state__in=["triaged", "acted"]) | Q(case__isnull=False), name="notice_triaged_has_case"
            ),
            models.CheckConstraint(
                condition=~Q(state="countered") | Q(counter_by__isnull=False, countered_at__isnull=False),
                name="notice_countered_by_somebody",
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["triage_due_at"], condition=Q(state="received"), name="notice_to_triage"),
            models.Index(fields=["action_due_at"], condition=Q(state="triaged"), name="notice_to_act"),
        ]

    def __str__(self) -> str:
        return f"notice {self.id}"


class Exposure(models.Model):
    """What one moderator has gone through on one day (UTC), and the break they are on."""

    person = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="exposures")
    day = models.DateField()
    cases = models.PositiveIntegerField(default=0)
    severe = models.PositiveIntegerField(default=0)
    seconds_heard = models.PositiveIntegerField(default=0)
    working_since = models.DateTimeField(null=True)
    on_break_until = models.DateTimeField(null=True)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["person", "day"], name="exposure_once_a_day")]

    def __str__(self) -> str:
        return f"exposure {self.day}"


class DeskTally(models.Model):
    """How many decisions of one kind one reviewer made on one day (UTC): see `safety.tallies`.

    ``timed``: those that were worked on for a second and more, ``seconds`` in all. ``reversed``: taken back since.
    """

    id = models.BigAutoField(primary_key=True)
    day = models.DateField()
    kind = models.CharField(max_length=16, choices=CaseKind.choices)
    rule = models.CharField(max_length=CLAUSE_CHARS, blank=True)
    decision = models.CharField(max_length=16, choices=Decision.choices)
    reviewer = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="desk_tallies")
    decided = models.PositiveIntegerField()
    in_time = models.PositiveIntegerField()
    timed = models.PositiveIntegerField()
    seconds = models.PositiveBigIntegerField()
    reversed = models.PositiveIntegerField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["day", "kind", "rule", "decision", "reviewer"], name="desk_tally_once"),
        ]

    def __str__(self) -> str:
        return f"tally {self.day}"
