import uuid

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

import foundation.clock


class Migration(migrations.Migration):
    """Projected search templates, enrolled voices, and cases about a voice that resembles another."""

    dependencies = [
        ("safety", "0001_initial"),
        ("vault", "0001_initial"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="SearchKey",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                (
                    "state",
                    models.CharField(
                        choices=[("active", "Active"), ("retired", "Retired")], default="active", max_length=16
                    ),
                ),
                ("created_at", models.DateTimeField(default=foundation.clock.now)),
                ("retired_at", models.DateTimeField(null=True)),
                (
                    "key",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to="vault.vaultkey"
                    ),
                ),
                (
                    "secret",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to="vault.sealedobject"
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("retired_at__isnull", True), ("state", "active")),
                            models.Q(("retired_at__isnull", False), ("state", "retired")),
                            _connector="OR",
                        ),
                        name="search_key_retired_has_time",
                    ),
                    models.UniqueConstraint(
                        condition=models.Q(("state", "active")), fields=("state",), name="search_key_one_active"
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="EnrolledVoice",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("consent_ref", models.CharField(max_length=64, unique=True)),
                ("dimensions", models.PositiveSmallIntegerField()),
                (
                    "state",
                    models.CharField(
                        choices=[("active", "Active"), ("removed", "Removed")], default="active", max_length=16
                    ),
                ),
                ("created_at", models.DateTimeField(default=foundation.clock.now)),
                ("removed_at", models.DateTimeField(null=True)),
                (
                    "person",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
                (
                    "template",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to="vault.sealedobject"
                    ),
                ),
                (
                    "search_key",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to="safety.searchkey"
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("removed_at__isnull", True), ("state", "active")),
                            models.Q(("removed_at__isnull", False), ("state", "removed")),
                            _connector="OR",
                        ),
                        name="enrolled_removed_has_time",
                    )
                ],
            },
        ),
        migrations.RemoveConstraint(
            model_name="case",
            name="case_kind_known",
        ),
        migrations.AddField(
            model_name="case",
            name="matches",
            field=models.JSONField(default=list),
        ),
        migrations.AlterField(
            model_name="case",
            name="kind",
            field=models.CharField(
                choices=[
                    ("policy_hold", "A text waits for a moderator"),
                    ("report", "Somebody reported something"),
                    ("voice_match", "A live voice resembles one that is protected or enrolled"),
                ],
                max_length=16,
            ),
        ),
        migrations.AddConstraint(
            model_name="case",
            constraint=models.CheckConstraint(
                condition=models.Q(("kind__in", ["policy_hold", "report", "voice_match"])), name="case_kind_known"
            ),
        ),
        migrations.AddConstraint(
            model_name="case",
            constraint=models.UniqueConstraint(
                condition=models.Q(("kind", "voice_match"), models.Q(("state", "decided"), _negated=True)),
                fields=("requester",),
                name="case_one_open_match_per_person",
            ),
        ),
        migrations.AddConstraint(
            model_name="case",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("kind", "voice_match"), _negated=True), ("requester__isnull", False), _connector="OR"
                ),
                name="case_match_has_requester",
            ),
        ),
        migrations.AddField(
            model_name="protectedvoice",
            name="search_key",
            field=models.ForeignKey(
                null=True, on_delete=django.db.models.deletion.PROTECT, related_name="+", to="safety.searchkey"
            ),
        ),
    ]
