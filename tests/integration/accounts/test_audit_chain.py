"""The audit trail: nobody changes it unnoticed, and a hundred writers make one chain."""

import json
import threading
from decimal import Decimal
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection, connections, transaction
from django.utils import timezone

from accounts.models import AuditEntry, AuditHead, AuditLink
from accounts.selectors.audit_chain import verify_chain
from accounts.services.audit import audit
from tests.support.users import make_user

pytestmark = pytest.mark.django_db(transaction=True)


def write(count: int) -> list[AuditEntry]:
    return [audit(actor="test", action="thing.done", obj=f"thing:{number}") for number in range(count)]


def owner_sql(*statements: str) -> None:
    """What somebody can do who owns the database."""
    with connection.cursor() as cursor:
        for table in ("accounts_auditentry", "accounts_auditlink"):
            cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER ALL")
        for statement in statements:
            cursor.execute(statement)
        for table in ("accounts_auditentry", "accounts_auditlink"):
            cursor.execute(f"ALTER TABLE {table} ENABLE TRIGGER ALL")


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE accounts_auditentry SET reason = 'nothing happened'",
        "DELETE FROM accounts_auditentry",
        "TRUNCATE accounts_auditentry CASCADE",
        "UPDATE accounts_auditlink SET hash = repeat('0', 64)",
        "DELETE FROM accounts_auditlink",
        "TRUNCATE accounts_auditlink",
    ],
)
def test_the_database_itself_refuses(statement: str) -> None:
    write(2)
    with pytest.raises(DatabaseError, match="append-only"), connection.cursor() as cursor:
        cursor.execute(statement)
    assert AuditEntry.objects.count() == 2
    assert verify_chain().is_good


def test_chain_links_in_order_and_head_follows() -> None:
    entries = write(3)
    links = list(AuditLink.objects.all())
    assert [link.seq for link in links] == [1, 2, 3]
    assert [link.entry_id for link in links] == [entry.pk for entry in entries]
    assert links[0].prev_hash == "0" * 64
    assert links[1].prev_hash == links[0].hash
    head = AuditHead.objects.get()
    assert (head.seq, head.hash) == (3, links[2].hash)
    assert verify_chain().checked == 3


def test_an_entry_of_a_rolled_back_transaction_leaves_nothing() -> None:
    write(1)
    with transaction.atomic():
        write(1)
        transaction.set_rollback(True)
    assert AuditEntry.objects.count() == AuditLink.objects.count() == 1
    assert verify_chain().is_good


def test_what_was_stored_is_what_was_digested() -> None:
    user = make_user("admin", with_device=False)
    audit(
        actor=user,
        action="odd.values",
        obj=user,
        before={"price": Decimal("1.10"), "ratio": 1e20, "tiny": 1e-7, "nul": "a\x00b", "lone": "\ud800"},
        after={"at": timezone.now(), "set": {"b", "a"}, "nested": {"list": [1, 2.5, None, True]}, "big": 2**70},
        reason="ünï\x00",
        ip="::ffff:192.0.2.1",
        otp_used=True,
    )
    report = verify_chain()
    assert report.first_bad is None
    entry = AuditEntry.objects.latest("pk")
    assert entry.before["price"] == "1.10"
    assert entry.after["set"] == ["a", "b"]
    assert entry.ip == "192.0.2.1"


def test_secrets_never_enter() -> None:
    entry = audit(actor="test", action="a", after={"api_secret": "PLANTED", "inner": {"password": "PLANTED"}, "ok": 1})
    entry.refresh_from_db()
    assert entry.after == {"api_secret": "[redacted]", "inner": {"password": "[redacted]"}, "ok": 1}


def _free_connections() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('max_connections')::int - (SELECT count(*) FROM pg_stat_activity)")
        return int(cursor.fetchone()[0])


def test_a_hundred_writers_make_one_chain() -> None:
    """All at once where the server has room for them, else in waves."""
    at_once = 100 if _free_connections() >= 120 else 20
    start = threading.Barrier(at_once)
    failures: list[BaseException] = []

    def writer(number: int) -> None:
        try:
            connections["default"].ensure_connection()
            start.wait(60)
            for step in range(10):
                with transaction.atomic():
                    audit(actor=f"writer{number}", action="one", obj=f"thing:{step}")
                    audit(actor=f"writer{number}", action="two", obj=f"thing:{step}")
        except BaseException as error:
            failures.append(error)
        finally:
            connections.close_all()

    for first in range(0, 100, at_once):
        threads = [threading.Thread(target=writer, args=(first + number,)) for number in range(at_once)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(120)
    assert failures == []
    report = verify_chain()
    assert report.first_bad is None
    assert report.checked == 2000
    assert list(AuditLink.objects.values_list("seq", flat=True)) == list(range(1, 2001))
    # a fork would show as two links continuing the same one
    assert AuditLink.objects.values("prev_hash").distinct().count() == 2000


def test_crossing_locks_do_not_deadlock() -> None:
    """One service audits and then locks a row, another locks the row and then audits."""
    row = make_user("viewer")
    order = threading.Barrier(2)
    failures: list[BaseException] = []

    def run(audit_first: bool) -> None:
        try:
            for _ in range(20):
                order.wait(20)
                with transaction.atomic():
                    if audit_first:
                        audit(actor="a", action="first")
                        type(row).objects.select_for_update().get(pk=row.pk)
                    else:
                        type(row).objects.select_for_update().get(pk=row.pk)
                        audit(actor="b", action="second")
        except BaseException as error:
            failures.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=(flag,)) for flag in (True, False)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failures == []
    assert verify_chain().is_good


@pytest.mark.parametrize(
    ("statements", "bad_seq", "problem"),
    [
        (["UPDATE accounts_auditentry SET reason = 'x' WHERE object_id = '2'"], 3, "changed after"),
        (["UPDATE accounts_auditentry SET at = at + interval '1 ms' WHERE object_id = '4'"], 5, "changed after"),
        (["UPDATE accounts_auditentry SET otp_used = true WHERE object_id = '0'"], 1, "changed after"),
        (["DELETE FROM accounts_auditentry WHERE object_id = '1'"], 2, "is missing"),
        (["DELETE FROM accounts_auditlink WHERE seq = 3"], 3, "link is missing"),
        (
            ["DELETE FROM accounts_auditlink WHERE seq = 5", "DELETE FROM accounts_auditentry WHERE object_id = '4'"],
            5,
            "ends at 4, its head says 5",
        ),
        (
            [
                "UPDATE accounts_auditlink SET entry_id = -1 WHERE seq = 2",
                "UPDATE accounts_auditlink SET entry_id = (SELECT id FROM accounts_auditentry WHERE object_id = '1')"
                " WHERE seq = 3",
                "UPDATE accounts_auditlink SET entry_id = (SELECT id FROM accounts_auditentry WHERE object_id = '2')"
                " WHERE seq = 2",
            ],
            2,
            "does not belong",
        ),
    ],
)
def test_tampering_by_the_owner_is_named(statements: list[str], bad_seq: int, problem: str) -> None:
    write(5)
    assert verify_chain().is_good
    owner_sql(*statements)
    bad = verify_chain().first_bad
    assert bad is not None
    assert bad.seq == bad_seq
    assert problem in bad.problem
    with pytest.raises(CommandError, match=f"BAD row {bad_seq}") as caught:
        call_command("verify_audit", stdout=StringIO())
    assert caught.value.returncode == 1


def test_an_entry_slipped_in_without_the_trigger_is_named() -> None:
    write(1)
    owner_sql(
        "INSERT INTO accounts_auditentry (at, actor_name, action, object_type, object_id, reason, otp_used, digest)"
        " VALUES (now(), 'x', 'x', '', '', '', false, repeat('0', 64))"
    )
    bad = verify_chain().first_bad
    assert bad is not None
    assert "no link" in bad.problem


def test_a_rebuilt_chain_passes_alone_but_not_against_an_anchor() -> None:
    """Somebody who owns the database can rebuild everything; a note kept elsewhere shows it."""
    write(3)
    before = verify_chain()
    owner_sql("DELETE FROM accounts_auditlink", "DELETE FROM accounts_auditentry", "DELETE FROM accounts_audithead")
    for number in range(3):
        audit(actor="forger", action="thing.done", obj=f"thing:{number}")
    assert verify_chain().is_good
    bad = verify_chain(anchor=(before.head_seq, before.head_hash)).first_bad
    assert bad is not None
    assert bad.seq == 3


def test_command_prints_an_anchor_it_accepts() -> None:
    write(2)
    out = StringIO()
    call_command("verify_audit", stdout=out)
    anchor = out.getvalue().splitlines()[-1]
    write(1)
    again = StringIO()
    call_command("verify_audit", "--anchor", anchor, "--json", stdout=again)
    assert json.loads(again.getvalue())["checked"] == 3
