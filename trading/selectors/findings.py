"""Runs and findings of the reconciliation, for its page."""

from collections.abc import Sequence
from dataclasses import dataclass

from trading.engine.wishes import Wish, wishes_for
from trading.models import ReconciliationFinding, ReconciliationRun, Severity

OPEN_SHOWN, CLOSED_SHOWN, RUNS_SHOWN = 100, 50, 30


@dataclass(frozen=True, slots=True)
class FindingRow:
    """`wishes`: what a person may still decide about it; what was decided stands in the finding's `action`."""

    finding: ReconciliationFinding
    detect_s: float
    """Into the run that saw it."""
    repair_s: float | None
    """Detected to repaired."""
    wishes: Sequence[Wish]


@dataclass(frozen=True, slots=True)
class RunRow:
    run: ReconciliationRun
    took_s: float | None


@dataclass(frozen=True, slots=True)
class ReconciliationView:
    open_findings: Sequence[FindingRow]
    closed_findings: Sequence[FindingRow]
    runs: Sequence[RunRow]


def reconciliation_view(account_id: int | None) -> ReconciliationView:
    if account_id is None:
        return ReconciliationView((), (), ())
    findings = ReconciliationFinding.objects.filter(account_id=account_id).select_related("run")
    runs = ReconciliationRun.objects.filter(account_id=account_id)[:RUNS_SHOWN]
    return ReconciliationView(
        [_row(finding) for finding in findings.filter(is_open=True)[:OPEN_SHOWN]],
        [_row(finding) for finding in findings.filter(is_open=False)[:CLOSED_SHOWN]],
        [RunRow(run, (run.finished_at - run.started_at).total_seconds() if run.finished_at else None) for run in runs],
    )


def _row(finding: ReconciliationFinding) -> FindingRow:
    took = finding.repaired_at - finding.detected_at if finding.repaired_at else None
    return FindingRow(
        finding,
        detect_s=(finding.detected_at - finding.run.started_at).total_seconds(),
        repair_s=took.total_seconds() if took is not None else None,
        wishes=[it for it in wishes_for(finding.kind) if it != finding.details.get("wish")] if finding.is_open else (),
    )


def critical_symbols(account_id: int) -> set[str]:
    """Where books and venue do not agree, or a position stands bare: nothing opens there."""
    found = ReconciliationFinding.objects.filter(account_id=account_id, is_open=True, severity=Severity.CRITICAL)
    return set(found.values_list("symbol", flat=True))


def newest_run_id(account_id: int) -> int | None:
    return ReconciliationRun.objects.filter(account_id=account_id).order_by("-pk").values_list("pk", flat=True).first()


def finding_exists(finding_id: int) -> bool:
    return ReconciliationFinding.objects.filter(pk=finding_id).exists()
