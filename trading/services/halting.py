"""HALT as people mean it: everything that trades, not only the account that happens to be on the screen."""

from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class Halted:
    """Labels of accounts."""

    now: tuple[str, ...]
    before: tuple[str, ...]
    failed: tuple[str, ...]
    """These may trade on."""


def accounts_halt(*, source: StateSource, reason: str, actor: "User | str") -> Halted:
    """HALT every active account, each in its own transaction: one that fails holds up no other."""
    now: list[str] = []
    before: list[str] = []
    failed: list[str] = []
    for account in trading_accounts():
        try:
            change = halt(account_id=account.pk, source=source, reason=reason, actor=actor)
        except (AviGridError, DatabaseError) as error:
            log.error("halt_failed", account_id=account.pk, error=repr(error))
            failed.append(account.label)
        else:
            (before if change is None else now).append(account.label)
    return Halted(tuple(now), tuple(before), tuple(failed))
