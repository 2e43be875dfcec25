import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("cloning", "0003_trace_facts"),
        ("consent", "0005_immutable_records"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="UsageAccount",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("period", models.CharField(max_length=7)),
                ("uses", models.BigIntegerField(default=0)),
                ("opened", models.BinaryField(max_length=32)),
                ("head", models.BinaryField(max_length=32)),
                ("closed", models.BooleanField(default=False)),
                (
                    "before",
                    models.OneToOneField(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="after",
                        to="cloning.usageaccount",
                    ),
                ),
                (
                    "owner",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("owner", "period"), name="usage_account_one_a_month"),
                    models.CheckConstraint(condition=models.Q(("uses__gte", 0)), name="usage_account_counts"),
                ],
            },
        ),
        migrations.CreateModel(
            name="MeteredUse",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("number", models.BigIntegerField()),
                ("uses_before", models.BigIntegerField()),
                ("characters_before", models.BigIntegerField()),
                ("milliseconds_before", models.BigIntegerField()),
                ("milliseconds", models.BigIntegerField()),
                ("leaf_index", models.BigIntegerField()),
                (
                    "licence",
                    models.ForeignKey(
                        null=True, on_delete=django.db.models.deletion.PROTECT, related_name="+", to="consent.licence"
                    ),
                ),
                (
                    "usage",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT, related_name="metered", to="cloning.usage"
                    ),
                ),
                (
                    "account",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="lines", to="cloning.usageaccount"
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("account", "number"), name="metered_use_numbered"),
                    models.UniqueConstraint(fields=("licence", "uses_before"), name="metered_use_counted_by_licence"),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("characters_before__gte", 0),
                            ("number__gte", 0),
                            ("uses_before__gte", 0),
                            ("milliseconds__gte", 0),
                            ("milliseconds_before__gte", 0),
                        ),
                        name="metered_use_natural",
                    ),
                ],
            },
        ),
    ]
