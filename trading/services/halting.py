"""HALT as people mean it: everything that trades, not only the account that happens to be on the screen."""

from typing import TYPE_CHECKING

import structlog
from django.db import DatabaseError

from accounts.selectors.trading_accounts import trading_accounts
from avigrid.kernel.errors import AviGridError
from risk.core.states import StateSource
from risk.services.states import halt

if TYPE_CHECKING:
    from accounts.models import User

log = structlog.get_logger(__name__)


def accounts_halt(*, source: StateSource, reason: str, actor: "User | str") -> list[str]:
    """HALT every active account, each in its own transaction; the labels of those that were not halted already.

    One that fails holds up no other; its error is raised when all were tried.
    """
    changed, failed = [], None
    for account in trading_accounts():
        try:
            if halt(account_id=account.pk, source=source, reason=reason, actor=actor) is not None:
                changed.append(account.label)
        except (AviGridError, DatabaseError) as error:
            log.error("halt_failed", account_id=account.pk, error=repr(error))
            failed = error
    if failed is not None:
        raise failed
    return changed
