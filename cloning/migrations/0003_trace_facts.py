from django.db import migrations, models
from django.db.models import F


def answered(apps, schema_editor):
    """Answers given before there was a delay are shown as they were."""
    apps.get_model("cloning", "TraceJob").objects.filter(state="done").update(answer_at=F("finished_at"))


class Migration(migrations.Migration):
    dependencies = [("cloning", "0002_labels_and_rates")]

    operations = [
        migrations.AddField(model_name="tracejob", name="facts", field=models.JSONField(default=dict)),
        migrations.AddField(
            model_name="tracejob",
            name="caller",
            field=models.CharField(blank=True, db_index=True, max_length=64, default=""),
            preserve_default=False,
        ),
        migrations.AddField(model_name="tracejob", name="answer_at", field=models.DateTimeField(null=True)),
        migrations.RunPython(answered, migrations.RunPython.noop),
        migrations.AddConstraint(
            model_name="tracejob",
            constraint=models.CheckConstraint(
                condition=models.Q(("state", "done"), _negated=True) | models.Q(("answer_at__isnull", False)),
                name="trace_done_has_time",
            ),
        ),
    ]
