"""What a person decides about things at the venue that are not ours. The web has no key: the wish is committed here and
carried out by the execution process."""

from typing import TYPE_CHECKING

from django.utils import timezone

from accounts.services.audit import audit
from avigrid.kernel.errors import Rejected
from trading.engine.wishes import Wish, wishes_for
from trading.models import ReconciliationFinding
from trading.services.findings import CLAIMED, finding_close
from trading.services.locking import account_transaction, wake_execution

if TYPE_CHECKING:
    from accounts.models import User


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
        finding.details = {**finding.details, "wish": wish.value}
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
        if wish is Wish.CLAIM:
            finding_close(finding=finding, now=timezone.now(), resolution=CLAIMED, proof="a person says whose it is")
        wake_execution(account_id, "finding")
    return finding
