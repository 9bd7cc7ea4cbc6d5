from django.db import migrations

FORWARD = r"""
DROP TRIGGER trading_research_kept ON trading_researchrun;
CREATE TRIGGER trading_research_kept BEFORE UPDATE OR DELETE ON trading_researchrun
    FOR EACH ROW WHEN (OLD.status IN ('done', 'failed', 'cancelled')) EXECUTE FUNCTION trading_research_ended();
CREATE FUNCTION trading_research_part_ended() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT 1 FROM trading_researchrun
               WHERE id = OLD.run_id AND status IN ('done', 'failed', 'cancelled')) THEN
        RAISE EXCEPTION 'run % has ended: its parts are never changed', OLD.run_id
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
END $$;
CREATE TRIGGER trading_research_part_kept BEFORE UPDATE OR DELETE ON trading_researchshard
    FOR EACH ROW EXECUTE FUNCTION trading_research_part_ended();
"""
BACKWARD = r"""
DROP TRIGGER trading_research_part_kept ON trading_researchshard;
DROP FUNCTION trading_research_part_ended();
DROP TRIGGER trading_research_kept ON trading_researchrun;
CREATE TRIGGER trading_research_kept BEFORE UPDATE ON trading_researchrun
    FOR EACH ROW WHEN (OLD.status IN ('done', 'failed', 'cancelled')) EXECUTE FUNCTION trading_research_ended();
"""


class Migration(migrations.Migration):
    """What a finished run found can be neither changed nor deleted, its parts included."""

    dependencies = [
        ("trading", "0010_outbox_by_time"),
    ]

    operations = [migrations.RunSQL(FORWARD, BACKWARD)]
