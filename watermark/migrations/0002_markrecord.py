import django.db.models.deletion
from django.db import migrations, models

APPEND_ONLY = """
CREATE FUNCTION watermark_markrecord_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'watermark_markrecord is append-only: % refused', TG_OP USING ERRCODE = 'restrict_violation';
END
$$;
CREATE TRIGGER watermark_markrecord_append_only BEFORE UPDATE OR DELETE ON watermark_markrecord
    FOR EACH ROW EXECUTE FUNCTION watermark_markrecord_append_only();
"""

UNDO = """
DROP TRIGGER watermark_markrecord_append_only ON watermark_markrecord;
DROP FUNCTION watermark_markrecord_append_only();
"""


class Migration(migrations.Migration):
    dependencies = [("watermark", "0001_initial")]

    operations = [
        migrations.CreateModel(
            name="MarkRecord",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("fingerprint", models.BinaryField()),
                ("fingerprint_version", models.PositiveSmallIntegerField()),
                ("strength_db", models.FloatField()),
                ("score", models.FloatField()),
                ("voice_note_score", models.FloatField()),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                (
                    "mark",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="record",
                        to="watermark.issuedmark",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("fingerprint", b""), _negated=True), name="watermark_fingerprint_given"
                    ),
                ],
            },
        ),
        migrations.RunSQL(APPEND_ONLY, UNDO),
    ]
