"""The log's lock is not held while the disk writes: see foundation.audit.log."""

from django.db import migrations

OF_LEAF = r"""
CREATE FUNCTION audit_commit_first() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- Of this transaction alone. Whoever commits it waits for the flush afterwards, with the lock free.
    PERFORM set_config('synchronous_commit', 'off', true);
    RETURN NULL;
END
$$
"""
TRIGGER = r"""
CREATE TRIGGER audit_leaf_commit_first AFTER INSERT ON audit_leaf
FOR EACH STATEMENT EXECUTE FUNCTION audit_commit_first()
"""


class Migration(migrations.Migration):
    dependencies = [("audit", "0003_append")]

    operations = [
        migrations.RunSQL(OF_LEAF, "DROP FUNCTION audit_commit_first()"),
        migrations.RunSQL(TRIGGER, "DROP TRIGGER audit_leaf_commit_first ON audit_leaf"),
    ]
