"""Key material leaves the database for the key store; each object gets a data key; erasures have epochs."""

from django.db import migrations, models
from django.db.models import F, Q

GUARD = (
    "CREATE TRIGGER vault_key_stays_destroyed BEFORE UPDATE ON vault_vaultkey FOR EACH ROW "
    "WHEN (OLD.state = 'destroyed' {more}) EXECUTE FUNCTION vault_refuse_revival()"
)
UNGUARD = "DROP TRIGGER vault_key_stays_destroyed ON vault_vaultkey"
OLD_GUARD = GUARD.format(more="")
NEW_GUARD = GUARD.format(more="AND (NEW.state <> 'destroyed' OR OLD.erased_at IS NOT NULL)")


def move_material(apps, schema_editor):
    """Old rows: the files are on disk before the column goes. ``VACUUM FULL vault_vaultkey`` afterwards clears the rest."""
    from foundation.vault import keystore

    keys = apps.get_model("vault", "VaultKey").objects.filter(wrapped__isnull=False)
    if not keys.exists():
        return
    store = keystore.current()
    store.make()
    with store.writing():
        for key in keys.iterator():
            if not store.holds(key.id):
                store.put(key.id, bytes(key.wrapped))


class Migration(migrations.Migration):
    dependencies = [("vault", "0001_initial")]

    operations = [
        migrations.RunPython(move_material, migrations.RunPython.noop, elidable=True),
        migrations.RemoveConstraint(model_name="vaultkey", name="vault_key_destroyed_has_no_material"),
        migrations.RemoveField(model_name="vaultkey", name="wrapped"),
        migrations.AddField("vaultkey", "erased_at", models.DateTimeField(null=True)),
        migrations.AddField("vaultkey", "epoch_before", models.BigIntegerField(null=True)),
        migrations.AddField("vaultkey", "epoch_after", models.BigIntegerField(db_index=True, null=True)),
        migrations.AddField("sealedobject", "data_key", models.BinaryField(null=True)),
        migrations.AddConstraint(
            model_name="vaultkey",
            constraint=models.CheckConstraint(
                condition=Q(state="active", destroyed_at__isnull=True, erased_at__isnull=True)
                | Q(state="destroyed", destroyed_at__isnull=False),
                name="vault_key_destroyed_has_time",
            ),
        ),
        migrations.AddConstraint(
            model_name="vaultkey",
            constraint=models.CheckConstraint(
                condition=Q(erased_at__isnull=True, epoch_before__isnull=True, epoch_after__isnull=True)
                | Q(erased_at__isnull=False, epoch_before__gte=0, epoch_after__gt=F("epoch_before")),
                name="vault_key_erased_has_epochs",
            ),
        ),
        migrations.AddIndex(
            model_name="vaultkey",
            index=models.Index(
                fields=["id"], condition=Q(state="destroyed", erased_at=None), name="vault_key_to_erase"
            ),
        ),
        migrations.RunSQL([UNGUARD, NEW_GUARD], [UNGUARD, OLD_GUARD]),
    ]
