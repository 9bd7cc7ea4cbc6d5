"""What was in force, and what was changed, cannot be rewritten: the database refuses."""

from django.db import migrations

FORWARD = r"""
CREATE FUNCTION risk_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% on % refused: its rows are written once', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'insufficient_privilege';
END $$;

CREATE FUNCTION risk_limits_only_active() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF to_jsonb(NEW) - 'active' IS DISTINCT FROM to_jsonb(OLD) - 'active' OR (NEW.active AND NOT OLD.active) THEN
        RAISE EXCEPTION 'limits are never edited: make a new version' USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER risk_state_change_once BEFORE UPDATE OR DELETE ON risk_tradingstatechange
    FOR EACH ROW EXECUTE FUNCTION risk_refuse_change();
CREATE TRIGGER risk_decision_once BEFORE UPDATE ON risk_riskdecision
    FOR EACH ROW EXECUTE FUNCTION risk_refuse_change();
CREATE TRIGGER risk_limits_kept BEFORE DELETE ON risk_risklimitsversion
    FOR EACH ROW EXECUTE FUNCTION risk_refuse_change();
CREATE TRIGGER risk_limits_not_edited BEFORE UPDATE ON risk_risklimitsversion
    FOR EACH ROW EXECUTE FUNCTION risk_limits_only_active();
"""

BACKWARD = r"""
DROP TRIGGER risk_limits_not_edited ON risk_risklimitsversion;
DROP TRIGGER risk_limits_kept ON risk_risklimitsversion;
DROP TRIGGER risk_decision_once ON risk_riskdecision;
DROP TRIGGER risk_state_change_once ON risk_tradingstatechange;
DROP FUNCTION risk_limits_only_active();
DROP FUNCTION risk_refuse_change();
"""


class Migration(migrations.Migration):
    dependencies = [("risk", "0001_initial")]

    operations = [migrations.RunSQL(FORWARD, BACKWARD)]
