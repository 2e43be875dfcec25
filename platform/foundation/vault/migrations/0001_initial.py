import uuid

import django.db.models.deletion
from django.db import migrations, models

import foundation.clock

REFUSE = """
CREATE FUNCTION vault_refuse_revival() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'key %: a destroyed key stays destroyed', OLD.id USING ERRCODE = 'restrict_violation';
END
$$
"""
GUARD = (
    "CREATE TRIGGER vault_key_stays_destroyed BEFORE UPDATE ON vault_vaultkey FOR EACH ROW "
    "WHEN (OLD.state = 'destroyed') EXECUTE FUNCTION vault_refuse_revival()"
)
UNGUARD = ["DROP TRIGGER vault_key_stays_destroyed ON vault_vaultkey", "DROP FUNCTION vault_refuse_revival()"]


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="ClearanceUse",
            fields=[
                ("clearance_id", models.UUIDField(primary_key=True, serialize=False)),
                ("voice_id", models.UUIDField()),
                ("purpose", models.CharField(max_length=16)),
                ("actor", models.CharField(max_length=120)),
                ("used_at", models.DateTimeField(default=foundation.clock.now)),
            ],
        ),
        migrations.CreateModel(
            name="VaultKey",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("kind", models.CharField(max_length=32)),
                ("owner_ref", models.CharField(db_index=True, max_length=100)),
                ("wrapped", models.BinaryField(null=True)),
                (
                    "state",
                    models.CharField(
                        choices=[("active", "Active"), ("destroyed", "Destroyed")], default="active", max_length=16
                    ),
                ),
                ("created_at", models.DateTimeField(default=foundation.clock.now)),
                ("destroyed_at", models.DateTimeField(null=True)),
                ("destroyed_reason", models.CharField(blank=True, default="", max_length=200)),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("destroyed_at__isnull", True), ("state", "active"), ("wrapped__isnull", False)),
                            models.Q(
                                ("destroyed_at__isnull", False), ("state", "destroyed"), ("wrapped__isnull", True)
                            ),
                            _connector="OR",
                        ),
                        name="vault_key_destroyed_has_no_material",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="SealedObject",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("kind", models.CharField(max_length=32)),
                ("owner_ref", models.CharField(max_length=100)),
                ("location", models.CharField(max_length=100, unique=True)),
                ("size", models.BigIntegerField()),
                ("ciphertext_sha256", models.CharField(max_length=64)),
                ("not_after", models.DateTimeField(null=True)),
                ("created_at", models.DateTimeField(default=foundation.clock.now)),
                ("file_deleted_at", models.DateTimeField(null=True)),
                (
                    "key",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="sealed_objects", to="vault.vaultkey"
                    ),
                ),
            ],
        ),
        migrations.RunSQL([REFUSE, GUARD], UNGUARD),
    ]
