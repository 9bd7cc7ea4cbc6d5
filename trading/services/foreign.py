"""What a person decides about things at the venue that are not ours. The web has no key: the wish is committed here and
carried out by the execution process."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from django.utils import timezone

from accounts.services.audit import audit
from avigrid.common import push
from avigrid.kernel.errors import Rejected
from trading.engine.wishes import Wish, wishes_for
from trading.models import ReconciliationFinding
from trading.services.alerts import alert_raise
from trading.services.findings import CLAIMED, finding_close
from trading.services.locking import account_transaction, wake_execution

if TYPE_CHECKING:
    from accounts.models import User

ATTEMPT_KEYS = ("attempts", "tried_first", "tried_last")
"""What `finding_attempt` keeps beside a wish."""
TELL_AFTER = timedelta(seconds=30)
_PAUSE_MAX_S = 60.0


def finding_decide(*, finding_id: int, wish: Wish, user: "User | str", reason: str = "") -> ReconciliationFinding:
    """Raises Rejected: `finding_closed`, `wish_impossible`. Deciding again replaces a wish not carried out yet."""
    account_id = ReconciliationFinding.objects.values_list("account_id", flat=True).get(pk=finding_id)
    with account_transaction(account_id):
        finding = ReconciliationFinding.objects.get(pk=finding_id)
        if not finding.is_open:
            raise Rejected("This is settled already.", code="finding_closed")
        if wish not in wishes_for(finding.kind):
            raise Rejected(f"One cannot {wish} this.", code="wish_impossible", kind=finding.kind)
        before = finding.details.get("wish")
        if before == wish.value:
            return finding
        kept = {key: value for key, value in finding.details.items() if key not in ATTEMPT_KEYS}
        finding.details = {**kept, "wish": wish.value}
        finding.action = "ignored by a person" if wish is Wish.IGNORE else f"{wish.value} asked"
        finding.save(update_fields=["details", "action"])
        audit(
            actor=user,
            action=f"finding.{wish.value}",
            obj=finding,
            before={"wish": before},
            after={"wish": wish.value, "subject": finding.subject},
            reason=reason,
        )
        push.event("finding", {"finding_id": finding.pk, "severity": finding.severity, "kind": finding.kind})
        if wish is Wish.CLAIM:
            finding_close(finding=finding, now=timezone.now(), resolution=CLAIMED, proof="a person says whose it is")
        wake_execution(account_id, "finding")
    return finding


def finding_attempt(*, finding: ReconciliationFinding, now: datetime) -> None:
    """Committed before anything is sent for it, so that a crash in between is not followed by a storm.

    Callers hold the account's lock.
    """
    finding.refresh_from_db()
    details = finding.details
    finding.details = {
        **details,
        "attempts": int(details.get("attempts", 0)) + 1,
        "tried_first": details.get("tried_first", now.isoformat()),
        "tried_last": now.isoformat(),
    }
    finding.save(update_fields=["details"])


def attempt_due(finding: ReconciliationFinding) -> datetime | None:
    """When the wish may be tried again: ever later while it does not work; None: now."""
    if "tried_last" not in finding.details:
        return None
    pause_s = min(2.0 ** int(finding.details["attempts"]), _PAUSE_MAX_S)
    return datetime.fromisoformat(finding.details["tried_last"]) + timedelta(seconds=pause_s)


def attempt_tell(*, finding: ReconciliationFinding, failure: str, now: datetime) -> None:
    """People hear of a wish that does not work, once it is not a matter of seconds any more."""
    since = datetime.fromisoformat(finding.details["tried_first"])
    if now - since < TELL_AFTER:
        return
    alert_raise(
        kind="wish_stuck",
        severity="critical",
        dedupe_key=f"finding{finding.pk}:{finding.details['wish']}",
        sentence=f"{finding.subject}: {finding.details['wish']} was asked and does not work ({failure}).",
        now=now,
        finding_id=finding.pk,
    )
