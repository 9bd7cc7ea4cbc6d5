"""What a person decides about things at the venue that are not ours. The web has no key: the wish is committed here and
carried out by the execution process."""

from enum import StrEnum
from typing import TYPE_CHECKING

from accounts.services.audit import audit
from avigrid.kernel.errors import Rejected
from trading.models import ReconciliationFinding
from trading.services.locking import account_transaction, wake_execution

if TYPE_CHECKING:
    from accounts.models import User


class Wish(StrEnum):
    """A position: adopt (becomes a plan), flatten, ignore. An order: cancel, ignore. Ignoring keeps new risk out."""

    ADOPT = "adopt"
    FLATTEN = "flatten"
    CANCEL = "cancel"
    IGNORE = "ignore"


_POSSIBLE = {
    "position_foreign": (Wish.ADOPT, Wish.FLATTEN, Wish.IGNORE),
    "order_foreign": (Wish.CANCEL, Wish.IGNORE),
}


def finding_decide(*, finding_id: int, wish: Wish, user: "User | str", reason: str = "") -> ReconciliationFinding:
    """Raises Rejected: `finding_closed`, `wish_impossible`. Deciding again replaces a wish not carried out yet."""
    account_id = ReconciliationFinding.objects.values_list("account_id", flat=True).get(pk=finding_id)
    with account_transaction(account_id):
        finding = ReconciliationFinding.objects.get(pk=finding_id)
        if not finding.is_open:
            raise Rejected("This is settled already.", code="finding_closed")
        if wish not in _POSSIBLE.get(finding.kind, ()):
            raise Rejected(f"One cannot {wish} this.", code="wish_impossible", kind=finding.kind)
        before = finding.details.get("wish")
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
        wake_execution(account_id, "finding")
    return finding
