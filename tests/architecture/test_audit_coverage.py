"""Every service that changes state writes an audit entry, or is excused here by name with a reason.

Read from the source: a public function of a services module that writes (itself or through what it calls) must reach
`audit(...)` the same way. New services are covered without being listed.
"""

import ast
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
APPS = ("accounts", "marketdata", "risk", "trading")
WRITES = {
    "create", "update", "save", "delete", "bulk_create", "bulk_update", "update_or_create", "get_or_create", "copy_in"
}  # fmt: skip

_MARKET = "records what the market said; nobody decided anything"
_STEP = "a part of plan_step, which audits the plan's step"
_FACT = "books a fact the venue reported; the row itself is the record, kept for good"
_PROGRESS = "progress of a worker; start, cancel and end of the run are audited"
_BOOKKEEPING = "the bookkeeping of a session or call; its beginning and end are audited by the caller"
_MODELLED = "follows from stored bars alone; doing it again gives the same rows, and an ended one is kept by a trigger"

EXCUSED: dict[str, str] = {
    "accounts.services.idempotency.call_once": "keeps an answer; what was done is audited by the service it calls",
    "accounts.services.idempotency.calls_forget": "forgets answers a day old; no state of the desk",
    "accounts.services.sessions.lapsed_forget": _BOOKKEEPING,
    "accounts.services.sessions.session_forget": _BOOKKEEPING,
    "accounts.services.sessions.session_note": _BOOKKEEPING,
    "accounts.services.sessions.session_seen": _BOOKKEEPING,
    "accounts.services.sessions.sign_out_everywhere": "a part of larger services, each of which audits",
    "accounts.services.tokens.families_forget": "drops logins nobody can use any more",
    "accounts.services.tokens.tokens_issue": _BOOKKEEPING,
    "marketdata.services.backfill_runs.backfill_part_advance": _MARKET,
    "marketdata.services.backfill_runs.backfill_part_finish": _MARKET,
    "marketdata.services.backfill_runs.backfill_part_start": _MARKET,
    "marketdata.services.backfill_runs.backfill_run_finish": _MARKET,
    "marketdata.services.backfill_runs.backfill_run_start": _MARKET,
    "marketdata.services.book_features.book_features_store": _MARKET,
    "marketdata.services.funding.funding_refresh": _MARKET,
    "marketdata.services.funding.funding_store": _MARKET,
    "marketdata.services.gaps.gap_fill": _MARKET,
    "marketdata.services.gaps.gaps_record": _MARKET,
    "marketdata.services.gaps.gaps_settle": _MARKET,
    "marketdata.services.instruments.instruments_refresh": _MARKET,
    "marketdata.services.instruments.instruments_store": _MARKET,
    "marketdata.services.order_book_log.order_book_log_store": _MARKET,
    "risk.services.decisions.decide": "stores every verdict with all checks; placing, which asks, audits",
    "risk.services.meters.entry_note": _FACT,
    "risk.services.meters.loss_streak_note": _FACT,
    "trading.services.adoption.old_position_book": _FACT,
    "trading.services.adoption.opening_book": _FACT,
    "trading.services.alerts.alert_raise": "tells people; what it tells of is recorded where it happened",
    "trading.services.booking.execution_book": _FACT,
    "trading.services.booking.executions_book": _FACT,
    "trading.services.folding.plan_totals_refresh": _FACT,
    "trading.services.folding.position_fold": _FACT,
    "trading.services.folding.positions_fold": _FACT,
    "trading.services.performance.performance_roll_up": "sums of closed plans; doing it again gives the same row",
    "trading.services.research.research_claim": _PROGRESS,
    "trading.services.research.research_part_store": _PROGRESS,
    "trading.services.research.research_touch": _PROGRESS,
    "trading.services.validation.symbol_model": _MODELLED,
    "trading.services.validation.validation_update": _MODELLED,
    "trading.services.watching.silence_watch": "tells people that a process fell silent",
    "trading.services.decisions.signals_expire": "time passed; the signal's row says so",
    "trading.services.findings.finding_close": "findings are a record of their own, with repair and proof",
    "trading.services.findings.finding_note": "findings are a record of their own, with repair and proof",
    "trading.services.intents.intent_create": _STEP,
    "trading.services.foreign.attempt_tell": "tells people; the wish itself was audited when it was made",
    "trading.services.foreign.finding_attempt": "counts tries beside the wish, which was audited when it was made",
    "trading.services.notifications.notifications_deliver": "delivers; attempts are counted in the outbox row",
    "trading.services.order_events.order_event_apply": "every step is a row of OrderEvent, kept for good",
    "trading.services.order_events.order_frame_apply": "every step is a row of OrderEvent, kept for good",
    "trading.services.order_events.order_steps_store": "every step is a row of OrderEvent, kept for good",
    "trading.services.order_events.OrderWrites": "every step is a row of OrderEvent, kept for good",
    "trading.services.order_batch.OrderBatch": "its orders' steps are rows of OrderEvent, kept for good",
    "trading.services.plan_step.order_cancel_request": _STEP,
}


@dataclass
class Function:
    name: str
    writes: bool = False
    calls: set[str] = field(default_factory=set)


def functions() -> dict[str, Function]:
    """Full name of a function or class -> what it does and calls; methods count to their class's name."""
    found: dict[str, Function] = {}
    for app in APPS:
        for path in sorted((ROOT / app / "services").glob("*.py")):
            module = f"{app}.services.{path.stem}"
            tree = ast.parse(path.read_text())
            imported = _imports(tree)
            for node in tree.body:
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                    found[f"{module}.{node.name}"] = _read(node, module, imported)
    return found


def _imports(tree: ast.Module) -> dict[str, str]:
    names = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            names.update({alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names})
    return names


def _read(node: ast.AST, module: str, imported: dict[str, str]) -> Function:
    function = Function(getattr(node, "name", ""))
    for call in ast.walk(node):
        if not isinstance(call, ast.Call):
            continue
        target = call.func
        if isinstance(target, ast.Name):
            function.calls.add(imported.get(target.id, f"{module}.{target.id}"))
        elif isinstance(target, ast.Attribute):
            if target.attr in WRITES and not _is_hash(target):
                function.writes = True
            if isinstance(target.value, ast.Name):
                function.calls.add(f"{imported.get(target.value.id, target.value.id)}.{target.attr}")
    return function


def _is_hash(target: ast.Attribute) -> bool:
    """`digest.update`, `names.update`: dictionaries and hashes, not tables."""
    text = ast.unparse(target.value)
    return (
        target.attr in ("update", "create") and ".objects" not in text and "filter(" not in text and "rows" not in text
    )


AUDIT = "accounts.services.audit.audit"


def reaches(name: str, known: dict[str, Function], wanted: str | None) -> bool:
    """Whether `name` calls `wanted` (or, without one, writes) itself or through services it calls."""
    seen, waiting = set(), [name]
    while waiting:
        current = waiting.pop()
        if current in seen or current not in known:
            continue
        seen.add(current)
        function = known[current]
        if function.writes if wanted is None else wanted in function.calls:
            return True
        waiting.extend(function.calls)
    return False


def silent() -> list[str]:
    known = functions()
    return sorted(
        name
        for name, function in known.items()
        if not function.name.startswith("_")
        and name != AUDIT
        and reaches(name, known, None)
        and not reaches(name, known, AUDIT)
    )


def test_every_state_changing_service_is_audited_or_excused() -> None:
    missing = [name for name in silent() if name not in EXCUSED]
    assert missing == [], "write an audit entry, or excuse it in EXCUSED with a reason"


def test_excuses_are_needed_and_reasoned() -> None:
    assert [name for name in EXCUSED if name not in silent()] == []
    assert all(len(reason) > 15 for reason in EXCUSED.values())


def test_the_reading_finds_writers_and_auditors() -> None:
    known = functions()
    assert len(known) > 50
    assert reaches("accounts.services.users.user_deactivate", known, None)
    assert reaches("accounts.services.users.user_deactivate", known, AUDIT)
    assert reaches("risk.services.states.halt", known, AUDIT)
    assert not reaches("accounts.services.sessions.session_seen", known, AUDIT)
