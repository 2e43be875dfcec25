import django.db.models.deletion
from django.db import migrations, models

import foundation.clock


class Migration(migrations.Migration):
    dependencies = [
        ("marketplace", "0004_statements"),
    ]

    operations = [
        migrations.CreateModel(
            name="Payment",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("provider", models.CharField(max_length=12)),
                ("reference", models.CharField(max_length=120)),
                ("token", models.CharField(blank=True, max_length=200)),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("begun", "Begun"),
                            ("held", "Held"),
                            ("captured", "Captured"),
                            ("voided", "Voided"),
                            ("refunded", "Refunded"),
                        ],
                        default="begun",
                        max_length=8,
                    ),
                ),
                ("refund_minor", models.BigIntegerField(default=0)),
                ("error", models.CharField(blank=True, max_length=200)),
                ("begun_at", models.DateTimeField(default=foundation.clock.now)),
                ("changed_at", models.DateTimeField(default=foundation.clock.now)),
                (
                    "order",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT, related_name="payment", to="marketplace.order"
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("provider", "reference"), name="payment_reference_once"),
                    models.CheckConstraint(
                        condition=models.Q(("state__in", ["begun", "held", "captured", "voided", "refunded"])),
                        name="payment_state_known",
                    ),
                    models.CheckConstraint(condition=models.Q(("refund_minor__gte", 0)), name="payment_refund_natural"),
                ],
            },
        ),
        migrations.CreateModel(
            name="ProviderEvent",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("provider", models.CharField(max_length=12)),
                ("event", models.CharField(max_length=120)),
                ("kind", models.CharField(max_length=12)),
                ("body_sha256", models.CharField(max_length=64)),
                ("outcome", models.CharField(max_length=40)),
                ("at", models.DateTimeField(default=foundation.clock.now)),
                (
                    "order",
                    models.ForeignKey(
                        null=True, on_delete=django.db.models.deletion.PROTECT, related_name="+", to="marketplace.order"
                    ),
                ),
            ],
            options={
                "constraints": [models.UniqueConstraint(fields=("provider", "event"), name="provider_event_once")],
            },
        ),
    ]
