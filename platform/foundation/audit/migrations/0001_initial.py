from django.db import migrations, models

import foundation.clock

TABLES = ("audit_leaf", "audit_node", "audit_checkpoint")

REFUSE = """
CREATE FUNCTION audit_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% on %: the log is append-only', TG_OP, TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END
$$
"""

# Statement triggers: an UPDATE or DELETE is refused even when it would touch no row.
GUARDS = [
    f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
    "FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse_change()"
    for table in TABLES
]
UNGUARD = [f"DROP TRIGGER {table}_append_only ON {table}" for table in TABLES]


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="Checkpoint",
            fields=[
                ("size", models.BigIntegerField(primary_key=True, serialize=False)),
                ("root", models.BinaryField(max_length=32)),
                ("note", models.TextField()),
                ("created_at", models.DateTimeField(default=foundation.clock.now)),
            ],
        ),
        migrations.CreateModel(
            name="Node",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "level", "position", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("level", models.PositiveSmallIntegerField()),
                ("position", models.BigIntegerField()),
                ("hash", models.BinaryField(max_length=32)),
            ],
        ),
        migrations.CreateModel(
            name="Leaf",
            fields=[
                ("index", models.BigIntegerField(primary_key=True, serialize=False)),
                ("kind", models.CharField(db_index=True, max_length=40)),
                ("body", models.BinaryField()),
                ("leaf_hash", models.BinaryField(max_length=32)),
                ("created_at", models.DateTimeField(default=foundation.clock.now)),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(condition=models.Q(("index__gte", 0)), name="leaf_index_natural")
                ],
            },
        ),
        migrations.RunSQL([REFUSE, *GUARDS], [*UNGUARD, "DROP FUNCTION audit_refuse_change()"]),
    ]
