"""Asking for a reconciliation now. The execution process, which has the key, does it."""

from typing import TYPE_CHECKING

from accounts.services.audit import audit
from trading.selectors.findings import newest_run_id
from trading.services.locking import wake_execution

if TYPE_CHECKING:
    from accounts.models import TradingAccount, User


def reconciliation_ask(*, account: "TradingAccount", actor: "User | str") -> int | None:
    """Returns the newest run so far: the one asked for has a higher id."""
    last = newest_run_id(account.pk)
    audit(actor=actor, action="reconciliation.asked", obj=account)
    wake_execution(account.pk, "reconcile")
    return last
