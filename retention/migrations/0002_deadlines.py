"""A deadline may only come nearer, and what is destroyed stays destroyed: kept by the database whatever the code does."""

from django.db import migrations

REFUSE = """
CREATE FUNCTION custody_only_ends() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.deadline > OLD.deadline OR NEW.received_at <> OLD.received_at THEN
        RAISE EXCEPTION 'a custody deadline cannot be put off';
    END IF;
    IF OLD.state = 'destroyed' AND NEW.state <> 'destroyed' THEN
        RAISE EXCEPTION 'what was destroyed cannot come back';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER custody_only_ends BEFORE UPDATE ON retention_custodyitem
    FOR EACH ROW EXECUTE FUNCTION custody_only_ends();
"""
ALLOW = """
DROP TRIGGER custody_only_ends ON retention_custodyitem;
DROP FUNCTION custody_only_ends();
"""


class Migration(migrations.Migration):
    dependencies = [("retention", "0001_initial")]
    operations = [migrations.RunSQL(REFUSE, ALLOW)]
