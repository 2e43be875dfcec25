from django.conf import settings
from django.db import migrations, models

import marketplace.pricing


class Migration(migrations.Migration):
    dependencies = [
        ("cloning", "0005_licence_scope"),
        ("marketplace", "0008_payouts"),
        ("vault", "0002_keystore"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddField(
            model_name="listing",
            name="free_units",
            field=models.BigIntegerField(default=0),
        ),
        migrations.AddField(
            model_name="listing",
            name="unit",
            field=models.CharField(
                choices=[
                    ("character", "character"),
                    ("second", "second"),
                    ("output", "output"),
                    ("month", "month"),
                    ("share", "share"),
                ],
                default="character",
                max_length=9,
            ),
        ),
        migrations.AddConstraint(
            model_name="listing",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    (
                        "unit__in",
                        [
                            marketplace.pricing.Unit["CHARACTER"],
                            marketplace.pricing.Unit["OUTPUT"],
                            marketplace.pricing.Unit["SECOND"],
                        ],
                    )
                ),
                name="listing_unit_by_use",
            ),
        ),
        migrations.AddConstraint(
            model_name="listing",
            constraint=models.CheckConstraint(
                condition=models.Q(("free_units__range", (0, 100000))), name="listing_free_range"
            ),
        ),
    ]
