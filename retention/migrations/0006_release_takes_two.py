"""Ending a hold before its time takes two people as well."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("retention", "0005_search_clips"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddField(
            model_name="legalhold",
            name="ended_by",
            field=models.ForeignKey(
                null=True, on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
            ),
        ),
        migrations.AddField(
            model_name="legalhold",
            name="ending_at",
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name="legalhold",
            name="ending_by",
            field=models.ForeignKey(
                null=True, on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
            ),
        ),
        migrations.AddConstraint(
            model_name="legalhold",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("ended_by__isnull", True),
                    ("approved_by__isnull", True),
                    models.Q(
                        ("ending_by__isnull", False), models.Q(("ended_by", models.F("ending_by")), _negated=True)
                    ),
                    _connector="OR",
                ),
                name="hold_release_takes_two",
            ),
        ),
    ]
