"""What was consented to stays as it is, with the recordings it names; so do the words of moderators."""

from django.db import migrations

REFUSE = """
CREATE FUNCTION consent_recordings_are_immutable() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP <> 'INSERT' THEN
        RAISE EXCEPTION 'the recordings of a consent cannot be changed';
    END IF;
    IF EXISTS (
        SELECT 1 FROM consent_consent c WHERE c.id = NEW.consent_id
        AND (c.state <> 'active' OR NOT COALESCE(c.statement->'recordings' ? NEW.recording_id::text, true))
    ) THEN
        RAISE EXCEPTION 'the consent does not name this recording';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER consent_recordings_are_immutable BEFORE INSERT OR UPDATE OR DELETE ON consent_consent_recordings
    FOR EACH ROW EXECUTE FUNCTION consent_recordings_are_immutable();

CREATE FUNCTION consent_vote_is_immutable() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a vote is given once';
END $$;
CREATE TRIGGER consent_vote_is_immutable BEFORE UPDATE OR DELETE ON consent_reviewvote
    FOR EACH ROW EXECUTE FUNCTION consent_vote_is_immutable();
CREATE TRIGGER consent_vote_stays BEFORE TRUNCATE ON consent_reviewvote
    FOR EACH STATEMENT EXECUTE FUNCTION consent_vote_is_immutable();

CREATE FUNCTION consent_review_only_ends() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.state <> 'open' THEN
        RAISE EXCEPTION 'a review that is decided cannot be changed';
    END IF;
    IF to_jsonb(NEW) - ARRAY['state', 'leaf_index', 'decided_at', 'decided_leaf', 'usable_until']
       IS DISTINCT FROM to_jsonb(OLD) - ARRAY['state', 'leaf_index', 'decided_at', 'decided_leaf', 'usable_until'] THEN
        RAISE EXCEPTION 'what a review asks cannot be changed';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER consent_review_only_ends BEFORE UPDATE ON consent_review
    FOR EACH ROW EXECUTE FUNCTION consent_review_only_ends();

CREATE FUNCTION consent_stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'consents cannot be deleted';
END $$;
CREATE TRIGGER consent_stays BEFORE TRUNCATE ON consent_consent
    FOR EACH STATEMENT EXECUTE FUNCTION consent_stays();
CREATE TRIGGER consent_recordings_stay BEFORE TRUNCATE ON consent_consent_recordings
    FOR EACH STATEMENT EXECUTE FUNCTION consent_stays();
"""
ALLOW = """
DROP TRIGGER consent_recordings_stay ON consent_consent_recordings;
DROP TRIGGER consent_stays ON consent_consent;
DROP FUNCTION consent_stays();
DROP TRIGGER consent_review_only_ends ON consent_review;
DROP FUNCTION consent_review_only_ends();
DROP TRIGGER consent_vote_stays ON consent_reviewvote;
DROP TRIGGER consent_vote_is_immutable ON consent_reviewvote;
DROP FUNCTION consent_vote_is_immutable();
DROP TRIGGER consent_recordings_are_immutable ON consent_consent_recordings;
DROP FUNCTION consent_recordings_are_immutable();
"""


class Migration(migrations.Migration):
    dependencies = [("consent", "0004_records")]
    operations = [migrations.RunSQL(REFUSE, ALLOW)]
