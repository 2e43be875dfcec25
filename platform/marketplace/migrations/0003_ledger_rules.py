"""The rules of double entry, kept by the database itself, also against whoever writes around the application."""

from django.db import migrations

RULES = """
CREATE FUNCTION marketplace_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the ledger is append-only: mend a mistake by an entry the other way round';
END $$;
CREATE TRIGGER marketplace_entry_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON marketplace_entry
    FOR EACH STATEMENT EXECUTE FUNCTION marketplace_refuse_change();
CREATE TRIGGER marketplace_leg_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON marketplace_leg
    FOR EACH STATEMENT EXECUTE FUNCTION marketplace_refuse_change();
CREATE TRIGGER marketplace_account_kept BEFORE DELETE OR TRUNCATE ON marketplace_account
    FOR EACH STATEMENT EXECUTE FUNCTION marketplace_refuse_change();

CREATE FUNCTION marketplace_balance_follows() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE marketplace_account SET balance_minor = balance_minor + NEW.amount_minor WHERE id = NEW.account_id;
    RETURN NULL;
END $$;
CREATE TRIGGER marketplace_leg_moves AFTER INSERT ON marketplace_leg
    FOR EACH ROW EXECUTE FUNCTION marketplace_balance_follows();

CREATE FUNCTION marketplace_balance_only_follows() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- Depth 1 is somebody's own UPDATE; the trigger of a leg comes at depth 2.
    IF pg_trigger_depth() < 2 OR (NEW.kind, NEW.holder, NEW.currency) <> (OLD.kind, OLD.holder, OLD.currency) THEN
        RAISE EXCEPTION 'a balance follows from legs and is not written';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER marketplace_account_follows BEFORE UPDATE ON marketplace_account
    FOR EACH ROW EXECUTE FUNCTION marketplace_balance_only_follows();

CREATE FUNCTION marketplace_account_starts_empty() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.balance_minor <> 0 THEN
        RAISE EXCEPTION 'an account starts at zero';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER marketplace_account_empty BEFORE INSERT ON marketplace_account
    FOR EACH ROW EXECUTE FUNCTION marketplace_account_starts_empty();

CREATE FUNCTION marketplace_entry_balances() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    entry uuid := CASE TG_TABLE_NAME WHEN 'marketplace_entry' THEN to_jsonb(NEW) ->> 'id'
                                     ELSE to_jsonb(NEW) ->> 'entry_id' END;
    legs bigint; total numeric; currencies bigint; said bigint;
BEGIN
    SELECT count(*), coalesce(sum(l.amount_minor), 0), count(DISTINCT a.currency)
        INTO legs, total, currencies
        FROM marketplace_leg l JOIN marketplace_account a ON a.id = l.account_id WHERE l.entry_id = entry;
    SELECT leg_count INTO said FROM marketplace_entry WHERE id = entry;
    IF legs <> said OR total <> 0 OR currencies <> 1 THEN
        RAISE EXCEPTION 'entry % does not balance: % legs of %, in % currencies, sum %', entry, legs, said, currencies,
            total USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER marketplace_entry_whole AFTER INSERT ON marketplace_entry
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION marketplace_entry_balances();
CREATE CONSTRAINT TRIGGER marketplace_leg_whole AFTER INSERT ON marketplace_leg
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION marketplace_entry_balances();
"""

UNDO = """
DROP TRIGGER marketplace_leg_whole ON marketplace_leg;
DROP TRIGGER marketplace_entry_whole ON marketplace_entry;
DROP FUNCTION marketplace_entry_balances();
DROP TRIGGER marketplace_account_empty ON marketplace_account;
DROP FUNCTION marketplace_account_starts_empty();
DROP TRIGGER marketplace_account_follows ON marketplace_account;
DROP FUNCTION marketplace_balance_only_follows();
DROP TRIGGER marketplace_leg_moves ON marketplace_leg;
DROP FUNCTION marketplace_balance_follows();
DROP TRIGGER marketplace_account_kept ON marketplace_account;
DROP TRIGGER marketplace_leg_append_only ON marketplace_leg;
DROP TRIGGER marketplace_entry_append_only ON marketplace_entry;
DROP FUNCTION marketplace_refuse_change();
"""


class Migration(migrations.Migration):
    dependencies = [("marketplace", "0002_ledger")]

    operations = [migrations.RunSQL(RULES, UNDO)]
