from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("retention", "0002_deadlines"),
        ("vault", "0001_initial"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.RemoveConstraint(
            model_name="custodyitem",
            name="custody_purpose_known",
        ),
        migrations.AddConstraint(
            model_name="custodyitem",
            constraint=models.CheckConstraint(
                condition=models.Q(("purpose__in", ["challenge", "training", "trace", "document"])),
                name="custody_purpose_known",
            ),
        ),
    ]
