"""Trading accounts come and change."""

from django.db import IntegrityError, transaction

from accounts.models import TradingAccount, User
from accounts.services.audit import audit
from avigrid.kernel.errors import Rejected


def trading_account_create(
    *,
    label: str,
    environment: str,
    actor: User | str,
    hedge_mode: bool = True,
    base_url: str = "",
    ws_url: str = "",
) -> TradingAccount:
    """Raises Rejected: `bad_environment`, `override_not_allowed`, `label_taken`."""
    if environment not in TradingAccount.Environment.values:
        raise Rejected(f"There is no environment {environment!r}.", code="bad_environment")
    if (base_url or ws_url) and environment != TradingAccount.Environment.SIMULATED:
        raise Rejected("Only a simulated exchange may have its own address.", code="override_not_allowed")
    try:
        with transaction.atomic():
            account = TradingAccount.objects.create(
                label=label, environment=environment, hedge_mode=hedge_mode, base_url=base_url, ws_url=ws_url
            )
            audit(actor=actor, action="account.created", obj=account, after={"environment": environment})
    except IntegrityError:
        raise Rejected("An account with this label exists.", code="label_taken") from None
    return account


def trading_account_set_active(*, account: TradingAccount, active: bool, actor: User | str) -> bool:
    """False where it was so already."""
    with transaction.atomic():
        if TradingAccount.objects.filter(pk=account.pk, active=not active).update(active=active) != 1:
            return False
        audit(
            actor=actor, action="account.changed", obj=account, before={"active": not active}, after={"active": active}
        )
    return True
