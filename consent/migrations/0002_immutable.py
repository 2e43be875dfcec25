"""A consent is written once: the database itself lets only its end be written to it, and nothing take it away."""

from django.db import migrations

REFUSE = """
CREATE FUNCTION consent_is_immutable() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        RAISE EXCEPTION 'a consent cannot be deleted';
    END IF;
    IF OLD.state <> 'active' THEN
        RAISE EXCEPTION 'a consent that has ended cannot be changed';
    END IF;
    IF to_jsonb(NEW) - ARRAY['state', 'ended_at', 'ended_leaf']
       IS DISTINCT FROM to_jsonb(OLD) - ARRAY['state', 'ended_at', 'ended_leaf'] THEN
        RAISE EXCEPTION 'what was consented to cannot be changed';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER consent_is_immutable BEFORE UPDATE OR DELETE ON consent_consent
    FOR EACH ROW EXECUTE FUNCTION consent_is_immutable();
"""
ALLOW = """
DROP TRIGGER consent_is_immutable ON consent_consent;
DROP FUNCTION consent_is_immutable();
"""


class Migration(migrations.Migration):
    dependencies = [("consent", "0001_initial")]
    operations = [migrations.RunSQL(REFUSE, ALLOW)]
