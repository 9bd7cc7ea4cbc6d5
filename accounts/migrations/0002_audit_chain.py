"""The audit trail defends itself: no UPDATE, DELETE or TRUNCATE, and every entry is chained at commit."""

from django.db import migrations

FORWARD = r"""
CREATE FUNCTION accounts_audit_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit trail is append-only: % on % refused', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'insufficient_privilege';
END $$;

CREATE TRIGGER audit_entry_no_change BEFORE UPDATE OR DELETE ON accounts_auditentry
    FOR EACH ROW EXECUTE FUNCTION accounts_audit_refuse();
CREATE TRIGGER audit_entry_no_truncate BEFORE TRUNCATE ON accounts_auditentry
    FOR EACH STATEMENT EXECUTE FUNCTION accounts_audit_refuse();
CREATE TRIGGER audit_link_no_change BEFORE UPDATE OR DELETE ON accounts_auditlink
    FOR EACH ROW EXECUTE FUNCTION accounts_audit_refuse();
CREATE TRIGGER audit_link_no_truncate BEFORE TRUNCATE ON accounts_auditlink
    FOR EACH STATEMENT EXECUTE FUNCTION accounts_audit_refuse();

-- The lock on the head row is taken here, at commit, and is the last lock a transaction takes.
CREATE FUNCTION accounts_audit_chain() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    head accounts_audithead%ROWTYPE;
    new_hash text;
BEGIN
    INSERT INTO accounts_audithead (id, seq, hash) VALUES (1, 0, repeat('0', 64)) ON CONFLICT (id) DO NOTHING;
    SELECT * INTO STRICT head FROM accounts_audithead WHERE id = 1 FOR UPDATE;
    new_hash := encode(sha256(convert_to(head.hash || NEW.digest, 'UTF8')), 'hex');
    INSERT INTO accounts_auditlink (seq, entry_id, prev_hash, hash) VALUES (head.seq + 1, NEW.id, head.hash, new_hash);
    UPDATE accounts_audithead SET seq = head.seq + 1, hash = new_hash WHERE id = 1;
    RETURN NULL;
END $$;

CREATE CONSTRAINT TRIGGER audit_entry_chain AFTER INSERT ON accounts_auditentry
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION accounts_audit_chain();
"""

BACKWARD = r"""
DROP TRIGGER audit_entry_chain ON accounts_auditentry;
DROP TRIGGER audit_link_no_truncate ON accounts_auditlink;
DROP TRIGGER audit_link_no_change ON accounts_auditlink;
DROP TRIGGER audit_entry_no_truncate ON accounts_auditentry;
DROP TRIGGER audit_entry_no_change ON accounts_auditentry;
DROP FUNCTION accounts_audit_chain();
DROP FUNCTION accounts_audit_refuse();
"""


class Migration(migrations.Migration):
    dependencies = [("accounts", "0001_initial")]

    operations = [migrations.RunSQL(FORWARD, BACKWARD)]
