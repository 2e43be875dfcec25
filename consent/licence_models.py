"""Licences derived from a consent: the texts they are granted in, who holds a seat under one, and what was offered."""

import uuid
from enum import StrEnum
from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import F, Q

from consent.states import LicenceState, OfferState
from foundation.clock import now

MAX_TERM_DAYS = 3650
"""Ten years: the longest term a voice licence may have under the proposed NO FAKES Act, and long enough anywhere."""
MAX_CHARACTERS = 1_000_000_000
"""The largest licence cap; keeps every counter far inside a 64-bit integer."""


def state_known(field: str, states: type[StrEnum], name: str) -> models.CheckConstraint:
    return models.CheckConstraint(condition=Q(**{f"{field}__in": [s.value for s in states]}), name=name)


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
    consent = models.ForeignKey("consent.Consent", on_delete=models.PROTECT, related_name="licences")
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
            state_known("state", LicenceState, "licence_state_known"),
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
    consent = models.ForeignKey("consent.Consent", on_delete=models.PROTECT, related_name="offers")
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
            state_known("state", OfferState, "offer_state_known"),
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
