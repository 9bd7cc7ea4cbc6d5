"""Start and end of a process stand in the audit trail; a database that is away stops neither."""

import os
from typing import Any

import pytest
from django.core.management import call_command
from django.db import OperationalError

from accounts.models import AuditEntry
from accounts.services import processes
from accounts.services.processes import audit_this_process, process_audited
from avigrid.kernel.errors import OperatorNeeded
from trading.runtime.execution import Exit

pytestmark = pytest.mark.django_db


def entries() -> list[tuple[str, str, str, object, str]]:
    rows = AuditEntry.objects.filter(action__startswith="process.").order_by("pk")
    return [(row.actor_name, row.object_id, row.action, (row.after or {}).get("exit_code"), row.reason) for row in rows]


def test_an_orderly_life() -> None:
    with process_audited("watchdog:7"):
        assert entries() == [("watchdog", "watchdog:7", "process.started", None, "")]
    assert entries()[1:] == [("watchdog", "watchdog:7", "process.stopped", 0, "asked to stop")]
    assert (AuditEntry.objects.latest("pk").after or {})["pid"] == os.getpid()


def test_a_server_begins_at_once_and_ends_with_its_interpreter(monkeypatch: pytest.MonkeyPatch) -> None:
    ends: list[Any] = []
    monkeypatch.setattr(processes.atexit, "register", ends.append)
    audit_this_process("web")
    assert entries() == [("web", "web", "process.started", None, "")]
    with monkeypatch.context() as forked:
        forked.setattr(processes.os, "getpid", lambda: -1)
        ends[0]()
    assert len(entries()) == 1  # a forked child ends without a word
    ends[0]()
    assert entries()[1:] == [("web", "web", "process.stopped", 0, "asked to stop")]


@pytest.mark.parametrize(
    ("error", "code", "reason"),
    [(OperatorNeeded("no key", code="no_api_key"), 1, "no_api_key"), (ValueError("secret"), 1, "ValueError")],
)
def test_an_end_by_a_fault_names_it(error: Exception, code: int, reason: str) -> None:
    with pytest.raises(type(error)), process_audited("market_data"):
        raise error
    assert entries()[1][3:] == (code, reason)


def test_without_a_database_the_process_lives_and_ends_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    def away(**entry: object) -> None:
        raise OperationalError("the database is away")

    monkeypatch.setattr(processes, "audit", away)
    worked = False
    with process_audited("execution:1"):
        worked = True
    assert worked
    assert entries() == []


class Stands:
    """Instead of the process's own work."""

    def __init__(self, ending: Any = None) -> None:
        self.ending = ending

    def __call__(self, *_: Any, **__: Any) -> "Stands":
        return self

    def listen_to_signals(self) -> None: ...

    def run(self, **_: Any) -> Any:
        return self.ending


async def _nothing(self: Any) -> None: ...


def test_every_process_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    commands = "trading.management.commands"
    monkeypatch.setattr(f"{commands}.stream_market.push.start_background", lambda: None)
    monkeypatch.setattr(f"{commands}.stream_market.MarketLoop.run", _nothing)
    monkeypatch.setattr(f"{commands}.watchdog.metrics.serve", lambda: None)
    monkeypatch.setattr(f"{commands}.watchdog.signal.signal", lambda *_: None)
    monkeypatch.setattr(f"{commands}.watchdog.Watchdog", Stands())
    call_command("stream_market")
    call_command("watchdog", account=3)
    for code in (Exit.STOPPED, Exit.LEASE_HELD):
        monkeypatch.setattr(f"{commands}.stream_account.Execution", Stands(code))
        if code is Exit.STOPPED:
            call_command("stream_account", account=3)
        else:
            with pytest.raises(SystemExit):
                call_command("stream_account", account=3)
    ended = [entry[1:] for entry in entries() if entry[2] == "process.stopped"]
    assert ended == [
        ("market_data", "process.stopped", 0, "asked to stop"),
        ("watchdog:3", "process.stopped", 0, "asked to stop"),
        ("execution:3", "process.stopped", 0, "asked to stop"),
        ("execution:3", "process.stopped", 3, "lease_held"),
    ]
    assert len(entries()) == 8
