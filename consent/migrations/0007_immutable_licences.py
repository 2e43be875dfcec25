"""What was granted and in which text stays as it is: a licence's term may only become shorter, a text never changes."""

from django.db import migrations

REFUSE = """
CREATE FUNCTION consent_licence_text_is_immutable() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the text of a licence cannot be changed';
END $$;
CREATE TRIGGER consent_licence_text_is_immutable BEFORE UPDATE OR DELETE ON consent_licencetext
    FOR EACH ROW EXECUTE FUNCTION consent_licence_text_is_immutable();
CREATE TRIGGER consent_licence_text_stays BEFORE TRUNCATE ON consent_licencetext
    FOR EACH STATEMENT EXECUTE FUNCTION consent_licence_text_is_immutable();

CREATE FUNCTION consent_licence_is_immutable() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    open CONSTANT text[] := ARRAY[
        'consent_id', 'valid_until', 'state', 'ended_at', 'ended_reason', 'notice_given_at', 'stop_reason', 'stop_salt',
        'characters_used', 'characters_reserved', 'milliseconds_used', 'milliseconds_reserved',
        'outputs_used', 'outputs_reserved'
    ];
BEGIN
    IF TG_OP = 'DELETE' THEN
        RAISE EXCEPTION 'a licence cannot be deleted';
    END IF;
    IF NEW.valid_until > OLD.valid_until THEN
        RAISE EXCEPTION 'the term of a licence cannot become longer';
    END IF;
    IF OLD.state <> 'active' AND NEW.state IS DISTINCT FROM OLD.state THEN
        RAISE EXCEPTION 'a licence that has ended stays ended';
    END IF;
    IF to_jsonb(NEW) - open IS DISTINCT FROM to_jsonb(OLD) - open THEN
        RAISE EXCEPTION 'what was licensed cannot be changed';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER consent_licence_is_immutable BEFORE UPDATE OR DELETE ON consent_licence
    FOR EACH ROW EXECUTE FUNCTION consent_licence_is_immutable();

CREATE FUNCTION consent_offer_only_ends() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' OR OLD.state <> 'open' OR to_jsonb(NEW) - ARRAY['state', 'licence_id', 'ended_at']
       IS DISTINCT FROM to_jsonb(OLD) - ARRAY['state', 'licence_id', 'ended_at'] THEN
        RAISE EXCEPTION 'what was offered cannot be changed';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER consent_offer_only_ends BEFORE UPDATE OR DELETE ON consent_licenceoffer
    FOR EACH ROW EXECUTE FUNCTION consent_offer_only_ends();
"""
ALLOW = """
DROP TRIGGER consent_offer_only_ends ON consent_licenceoffer;
DROP FUNCTION consent_offer_only_ends();
DROP TRIGGER consent_licence_is_immutable ON consent_licence;
DROP FUNCTION consent_licence_is_immutable();
DROP TRIGGER consent_licence_text_stays ON consent_licencetext;
DROP TRIGGER consent_licence_text_is_immutable ON consent_licencetext;
DROP FUNCTION consent_licence_text_is_immutable();
"""


class Migration(migrations.Migration):
    dependencies = [("consent", "0006_licences")]
    operations = [migrations.RunSQL(REFUSE, ALLOW)]
