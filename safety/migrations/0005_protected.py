import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

import foundation.clock


class Migration(migrations.Migration):
    """By what right a voice is protected, and the banks of other platforms."""

    dependencies = [
        ("safety", "0004_policy"),
        ("vault", "0002_keystore"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="BankOrigin",
            fields=[
                ("name", models.CharField(max_length=120, primary_key=True, serialize=False)),
                ("public_key", models.CharField(max_length=64)),
                ("exported_at", models.DateTimeField()),
                ("imported_at", models.DateTimeField(default=foundation.clock.now)),
            ],
        ),
        migrations.AddField(
            model_name="protectedvoice",
            name="bank_ref",
            field=models.CharField(blank=True, max_length=64),
        ),
        migrations.AddField(
            model_name="protectedvoice",
            name="basis_ref",
            field=models.CharField(blank=True, max_length=64),
        ),
        migrations.AddField(
            model_name="protectedvoice",
            name="person",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="protected_voices",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AddField(
            model_name="protectedvoice",
            name="public_name",
            field=models.CharField(blank=True, max_length=120),
        ),
        migrations.AddField(
            model_name="protectedvoice",
            name="removed_at",
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name="protectedvoice",
            name="source",
            field=models.CharField(
                choices=[
                    ("moderator", "Put there by a moderator"),
                    ("own", "The speaker, by a live challenge"),
                    ("representative", "A representative, with documents and two approvals"),
                    ("bank", "Another platform's bank"),
                ],
                default="moderator",
                max_length=16,
            ),
        ),
        migrations.AddField(
            model_name="protectedvoice",
            name="bank",
            field=models.ForeignKey(
                null=True, on_delete=django.db.models.deletion.PROTECT, related_name="voices", to="safety.bankorigin"
            ),
        ),
        migrations.AddConstraint(
            model_name="protectedvoice",
            constraint=models.CheckConstraint(
                condition=models.Q(("source__in", ["moderator", "own", "representative", "bank"])),
                name="protected_source_known",
            ),
        ),
        migrations.AddConstraint(
            model_name="protectedvoice",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("bank__isnull", False), ("person__isnull", True), ("source", "bank")),
                    models.Q(models.Q(("source", "bank"), _negated=True), ("bank__isnull", True)),
                    _connector="OR",
                ),
                name="protected_bank_has_origin",
            ),
        ),
        migrations.AddConstraint(
            model_name="protectedvoice",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("source__in", ["own", "representative"]), _negated=True),
                    models.Q(("person__isnull", False), models.Q(("basis_ref", ""), _negated=True)),
                    _connector="OR",
                ),
                name="protected_of_a_person_has_basis",
            ),
        ),
        migrations.AddConstraint(
            model_name="protectedvoice",
            constraint=models.UniqueConstraint(
                condition=models.Q(("source", "own"), ("state", "active")),
                fields=("person",),
                name="protected_own_once",
            ),
        ),
        migrations.AddConstraint(
            model_name="protectedvoice",
            constraint=models.UniqueConstraint(
                condition=models.Q(("basis_ref", ""), _negated=True),
                fields=("basis_ref",),
                name="protected_once_per_basis",
            ),
        ),
        migrations.AddConstraint(
            model_name="protectedvoice",
            constraint=models.UniqueConstraint(
                condition=models.Q(("bank__isnull", False), ("state", "active")),
                fields=("bank", "bank_ref"),
                name="protected_once_per_bank_entry",
            ),
        ),
    ]
