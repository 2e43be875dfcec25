"""People, organisations and their API keys."""

import uuid
from typing import Any, ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.db import models
from django.db.models import Q

from foundation.audit.commitments import SALT_SIZE, new_salt
from foundation.clock import now

DEVICE_CHARS = 200


class Role(models.TextChoices):
    MEMBER = "member", "Member"
    MODERATOR = "moderator", "Moderator"
    SENIOR = "senior", "Senior moderator"
    AUDITOR = "auditor", "Auditor"
    OPERATOR = "operator", "Operator"


class Organisation(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=200, unique=True)
    created_at = models.DateTimeField(default=now)


class PersonManager(BaseUserManager["Person"]):
    def get_by_natural_key(self, username: str | None) -> "Person":
        return self.get(email=(username or "").lower())

    def create_superuser(self, **_: Any) -> "Person":
        raise NotImplementedError("there is no superuser: roles say who may do what")


class Person(AbstractBaseUser):
    """Somebody with an account. The e-mail address is the sign-in name and appears in no log.

    ``log_salt``: what ties the tags in the log's leaves to this person (`audit.people`); null once it was erased.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    email = models.EmailField(unique=True)
    display_name = models.CharField(max_length=120)
    role = models.CharField(max_length=16, choices=Role.choices, default=Role.MEMBER)
    organisation = models.ForeignKey(Organisation, null=True, blank=True, on_delete=models.PROTECT)
    is_active = models.BooleanField(default=True)
    created_at = models.DateTimeField(default=now)
    log_salt = models.BinaryField(max_length=SALT_SIZE, null=True, default=new_salt)

    USERNAME_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = ["display_name"]
    objects: ClassVar[PersonManager] = PersonManager()

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(condition=Q(role__in=Role.values), name="person_role_known"),
        ]


class ApiKey(models.Model):
    """A program's key. Only the SHA-256 of the secret is kept: 256 random bits need no slow hash."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    person = models.ForeignKey(Person, on_delete=models.CASCADE, related_name="api_keys")
    name = models.CharField(max_length=80)
    prefix = models.CharField(max_length=12, unique=True)
    digest = models.CharField(max_length=64)
    scopes = models.JSONField(default=list)
    created_at = models.DateTimeField(default=now)
    expires_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)
    last_used_at = models.DateTimeField(null=True)


class SignedIn(models.Model):
    """A session of somebody's, beside Django's own row of it: see `sessions`. ``device``: the browser's own words."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    person = models.ForeignKey(Person, on_delete=models.CASCADE, related_name="sessions")
    session_key = models.CharField(max_length=40, unique=True)
    device = models.CharField(max_length=DEVICE_CHARS, blank=True)
    network = models.CharField(max_length=50, blank=True)
    began_at = models.DateTimeField(default=now)

    def __str__(self) -> str:
        return f"session {self.id}"
