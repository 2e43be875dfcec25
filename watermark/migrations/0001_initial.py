from django.db import migrations, models

# The registry is append-only for everybody, the application included. TRUNCATE is a right of the table's owner that
# the application's role need not have; tests use it.
APPEND_ONLY = """
CREATE FUNCTION watermark_issuedmark_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'watermark_issuedmark is append-only: % refused', TG_OP USING ERRCODE = 'restrict_violation';
END
$$;
CREATE TRIGGER watermark_issuedmark_append_only BEFORE UPDATE OR DELETE ON watermark_issuedmark
    FOR EACH ROW EXECUTE FUNCTION watermark_issuedmark_append_only();
"""

UNDO = """
DROP TRIGGER watermark_issuedmark_append_only ON watermark_issuedmark;
DROP FUNCTION watermark_issuedmark_append_only();
"""


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="IssuedMark",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("payload", models.BigIntegerField(unique=True)),
                ("output_ref", models.CharField(max_length=64, unique=True)),
                ("epoch", models.PositiveSmallIntegerField(default=1)),
                ("rehearsal", models.BooleanField()),
                ("created_at", models.DateTimeField(auto_now_add=True)),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("payload__gte", 1), ("payload__lt", 281474976710656)),
                        name="watermark_payload_48_bits",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("output_ref", ""), _negated=True), name="watermark_output_ref_given"
                    ),
                ],
            },
        ),
        migrations.RunSQL(APPEND_ONLY, UNDO),
    ]
