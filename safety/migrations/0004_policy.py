import uuid

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

import foundation.clock


class Migration(migrations.Migration):
    """Policy packs as they are kept, decisions with their facts, and the keys of the texts they were about."""

    dependencies = [
        ("safety", "0003_desk"),
        ("vault", "0002_keystore"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="PolicyPack",
            fields=[
                ("sha256", models.CharField(max_length=64, primary_key=True, serialize=False)),
                ("name", models.CharField(max_length=64)),
                ("version", models.CharField(max_length=64)),
                ("reading", models.CharField(max_length=64)),
                ("source", models.BinaryField()),
                ("signature", models.JSONField()),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("live", "In force"),
                            ("shadow", "Runs beside the one in force"),
                            ("former", "Was in force, or ran in the shadow"),
                        ],
                        default="former",
                        max_length=8,
                    ),
                ),
                ("kept_at", models.DateTimeField(default=foundation.clock.now)),
                ("since", models.DateTimeField(null=True)),
                (
                    "before",
                    models.ForeignKey(
                        null=True, on_delete=django.db.models.deletion.PROTECT, related_name="+", to="safety.policypack"
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("state__in", ["live", "shadow", "former"])), name="pack_state_known"
                    ),
                    models.UniqueConstraint(
                        condition=models.Q(("state", "live")), fields=("state",), name="pack_one_live"
                    ),
                    models.UniqueConstraint(
                        condition=models.Q(("state", "shadow")), fields=("state",), name="pack_one_shadow"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("state", "former"), ("since__isnull", False), _connector="OR"),
                        name="pack_in_use_has_time",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="PolicyTextKey",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("week", models.DateField()),
                ("ended_at", models.DateTimeField(null=True)),
                (
                    "key",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to="vault.vaultkey"
                    ),
                ),
                (
                    "person",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
            ],
            options={
                "constraints": [models.UniqueConstraint(fields=("person", "week"), name="policy_text_key_once_a_week")],
            },
        ),
        migrations.CreateModel(
            name="PolicyDecision",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("at", models.DateTimeField(default=foundation.clock.now)),
                (
                    "stage",
                    models.CharField(
                        choices=[("request", "Before synthesis: the text"), ("output", "After synthesis: the sound")],
                        max_length=8,
                    ),
                ),
                ("voice_ref", models.CharField(max_length=64)),
                ("text_digest", models.CharField(max_length=64)),
                ("facts", models.JSONField()),
                ("outcome", models.CharField(max_length=20)),
                ("rule", models.CharField(blank=True, max_length=64)),
                ("clause", models.CharField(blank=True, max_length=64)),
                ("label", models.CharField(blank=True, max_length=80)),
                ("shadow_outcome", models.CharField(blank=True, max_length=20)),
                ("shadow_rule", models.CharField(blank=True, max_length=64)),
                (
                    "requester",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="policy_decisions",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "text",
                    models.OneToOneField(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="vault.sealedobject",
                    ),
                ),
                (
                    "pack",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to="safety.policypack"
                    ),
                ),
                (
                    "shadow_pack",
                    models.ForeignKey(
                        null=True, on_delete=django.db.models.deletion.PROTECT, related_name="+", to="safety.policypack"
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(fields=["at"], name="policy_decision_by_time"),
                    models.Index(fields=["requester", "at"], name="policy_decision_by_person"),
                    models.Index(fields=["text_digest", "voice_ref", "requester"], name="policy_decision_by_text"),
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("stage__in", ["request", "output"])), name="policy_decision_stage_known"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("shadow_outcome", ""), ("shadow_pack__isnull", True)),
                            models.Q(("shadow_pack__isnull", False), models.Q(("shadow_outcome", ""), _negated=True)),
                            _connector="OR",
                        ),
                        name="policy_decision_shadow_whole",
                    ),
                ],
            },
        ),
    ]
