"""Findings of a reconciliation: written once while open, closed with their proof, told to people.

Callers hold the account's lock.
"""

from datetime import datetime

from django.db.models import Q

from avigrid.common import push
from trading.engine.differences import Difference
from trading.models import ReconciliationFinding, ReconciliationRun, Severity
from trading.services.alerts import alert_raise

CLAIMED = "claimed"


def finding_note(
    *,
    run: ReconciliationRun,
    difference: Difference,
    now: datetime,
    action: str = "",
    proof: str = "",
    repaired: bool = False,
) -> ReconciliationFinding | None:
    """None where the same finding is open already, or claimed: finding it again writes nothing."""
    same = ReconciliationFinding.objects.filter(
        account_id=run.account_id, kind=difference.kind, subject=difference.subject[:100]
    )
    if same.filter(Q(is_open=True) | Q(resolution=CLAIMED)).exists():
        return None
    finding = ReconciliationFinding.objects.create(
        account_id=run.account_id,
        run=run,
        kind=difference.kind.value,
        subject=difference.subject[:100],
        severity=difference.level.value,
        symbol=difference.symbol,
        sentence=difference.sentence[:300],
        details=dict(difference.numbers),
        action=action,
        proof=proof[:300],
        is_open=not repaired,
        detected_at=now,
        repaired_at=now if repaired else None,
        resolution="repaired" if repaired else "",
    )
    push.event("finding", {"finding_id": finding.pk, "severity": finding.severity, "kind": finding.kind})
    if finding.severity != Severity.INFO:
        alert_raise(
            kind="reconciliation",
            severity=finding.severity,
            dedupe_key=f"finding{finding.pk}",
            sentence=finding.sentence,
            now=now,
            finding_id=finding.pk,
        )
    return finding


def finding_close(*, finding: ReconciliationFinding, now: datetime, resolution: str, proof: str = "") -> None:
    """Its cause is gone; `proof` says how that is known."""
    finding.is_open = False
    finding.repaired_at = now
    finding.resolution = resolution
    finding.proof = (proof or finding.proof)[:300]
    finding.save(update_fields=["is_open", "repaired_at", "resolution", "proof"])
    push.event("finding", {"finding_id": finding.pk, "severity": finding.severity, "kind": finding.kind})


def claimed_subjects(account_id: int) -> set[str]:
    """Orders that a person said are somebody's own."""
    claimed = ReconciliationFinding.objects.filter(account_id=account_id, resolution=CLAIMED)
    return set(claimed.values_list("subject", flat=True))
