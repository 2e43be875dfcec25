import django.db.models.deletion
from django.db import migrations, models

import foundation.clock


class Migration(migrations.Migration):
    dependencies = [("audit", "0001_initial")]

    operations = [
        migrations.CreateModel(
            name="Cosignature",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("witness", models.CharField(max_length=200)),
                ("line", models.CharField(max_length=400)),
                ("created_at", models.DateTimeField(default=foundation.clock.now)),
                (
                    "checkpoint",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="cosignatures", to="audit.checkpoint"
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("checkpoint", "witness"), name="cosignature_one_per_witness")
                ],
            },
        ),
        migrations.RunSQL(
            "CREATE TRIGGER audit_cosignature_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_cosignature "
            "FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse_change()",
            "DROP TRIGGER audit_cosignature_append_only ON audit_cosignature",
        ),
    ]
