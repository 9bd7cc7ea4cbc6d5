"""Trading accounts and the visible part of their keys. Nothing here can decrypt."""

from django.db.models import QuerySet

from accounts.models import ApiKey, TradingAccount
from avigrid.common.reading import read_once


@read_once
def trading_account(account_id: int) -> TradingAccount | None:
    return TradingAccount.objects.filter(pk=account_id).first()


def trading_accounts(*, active_only: bool = True) -> QuerySet[TradingAccount]:
    accounts = TradingAccount.objects.order_by("pk")
    return accounts.filter(active=True) if active_only else accounts


def active_key(account: TradingAccount) -> ApiKey | None:
    return ApiKey.objects.filter(account=account, active=True).first()


def active_key_id(account_id: int) -> int | None:
    """The row number of the key in use; a running process compares it to notice a rotation."""
    return ApiKey.objects.filter(account_id=account_id, active=True).values_list("pk", flat=True).first()


def api_keys() -> QuerySet[ApiKey]:
    """Without the ciphertext: doors have no business with it."""
    return ApiKey.objects.select_related("account", "created_by").defer("ciphertext")


@read_once
def primary_account() -> TradingAccount | None:
    """The account the desk shows: the oldest active one."""
    return trading_accounts().first()
