"""Appending inside the database: the log's lock is held for one function call, or only while a transaction commits."""

from django.db import migrations

# A volatile function takes a new snapshot for each of its statements (READ COMMITTED), so what is read after the lock
# holds everything that the lock's former holder committed. The number is foundation.audit.log.LOCK.
APPEND = r"""
CREATE FUNCTION audit_place(new_kind text, new_body bytea, new_moment timestamptz) RETURNS bigint
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    place bigint;
    up_level smallint := 0;
    up_position bigint;
    value bytea := sha256('\x00'::bytea || new_body);
    left_hash bytea;
BEGIN
    PERFORM pg_advisory_xact_lock(130221082896385);
    SELECT coalesce(max(index), -1) + 1 INTO place FROM audit_leaf;
    INSERT INTO audit_leaf (index, kind, body, leaf_hash, created_at)
        VALUES (place, new_kind, new_body, value, new_moment);
    up_position := place;
    WHILE up_position % 2 = 1 LOOP
        IF up_level = 0 THEN
            SELECT leaf_hash INTO STRICT left_hash FROM audit_leaf WHERE index = up_position - 1;
        ELSE
            SELECT hash INTO STRICT left_hash FROM audit_node WHERE level = up_level AND position = up_position - 1;
        END IF;
        value := sha256('\x01'::bytea || left_hash || value);
        up_level := up_level + 1;
        up_position := up_position / 2;
        INSERT INTO audit_node (level, position, hash) VALUES (up_level, up_position, value);
    END LOOP;
    RETURN place;
END
$$
"""

# A row here waits for its transaction's end, when a deferred trigger makes a leaf of it. No other transaction ever
# sees one and none is left after a commit, so the table needs no write-ahead log.
RECORD = r"""
CREATE UNLOGGED TABLE audit_record (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind text NOT NULL,
    body bytea NOT NULL,
    moment timestamptz NOT NULL
)
"""
PLACE_RECORD = r"""
CREATE FUNCTION audit_place_record() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM audit_place(NEW.kind, NEW.body, NEW.moment);
    DELETE FROM audit_record WHERE id = NEW.id;
    RETURN NULL;
END
$$
"""
TRIGGER = r"""
CREATE CONSTRAINT TRIGGER audit_record_placed AFTER INSERT ON audit_record
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION audit_place_record()
"""

# What the transaction recorded before comes first. From here to its end the lock is held, so nothing waits any more.
NOW = r"""
CREATE FUNCTION audit_append(new_kind text, new_body bytea, new_moment timestamptz) RETURNS bigint
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    SET CONSTRAINTS audit_record_placed IMMEDIATE;
    RETURN audit_place(new_kind, new_body, new_moment);
END
$$
"""


class Migration(migrations.Migration):
    dependencies = [("audit", "0002_cosignature")]

    operations = [
        migrations.RunSQL(APPEND, "DROP FUNCTION audit_place(text, bytea, timestamptz)"),
        migrations.RunSQL(RECORD, "DROP TABLE audit_record"),
        migrations.RunSQL(PLACE_RECORD, "DROP FUNCTION audit_place_record()"),
        migrations.RunSQL(TRIGGER, "DROP TRIGGER audit_record_placed ON audit_record"),
        migrations.RunSQL(NOW, "DROP FUNCTION audit_append(text, bytea, timestamptz)"),
    ]
