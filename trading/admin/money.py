"""Every change of money, the wallet and what trading cost, for reading."""

from django.contrib import admin
from django.utils.translation import gettext_lazy as _

from trading.admin.history import HistoryAdmin
from trading.models import AccountFeeRates, EquitySnapshot, LedgerEntry, SlippageRecord


@admin.register(LedgerEntry)
class LedgerEntryAdmin(HistoryAdmin):
    about = _("Every change of money; the bridge on the Performance page adds it up to the wallet.")
    desk_page = "trading:performance"
    list_display = ("at", "kind", "symbol", "change_usd", "reference", "note")
    list_filter = ("kind", "symbol")


@admin.register(EquitySnapshot)
class EquitySnapshotAdmin(HistoryAdmin):
    about = _("The wallet as the exchange showed it.")
    desk_page = "trading:performance"
    list_display = ("at", "equity_usd", "wallet_balance_usd", "available_usd", "unrealised_pnl_usd")


@admin.register(SlippageRecord)
class SlippageRecordAdmin(HistoryAdmin):
    about = _("What was asked for and what was got, fill by fill.")
    desk_page = "trading:performance"
    list_display = ("at", "symbol", "is_entry", "is_maker", "requested_price", "fill_price", "slippage_bps")
    list_filter = ("is_entry", "is_maker", "symbol")


@admin.register(AccountFeeRates)
class AccountFeeRatesAdmin(HistoryAdmin):
    about = _("What the exchange charges each account, as it said last: sizes and planned losses count with it.")
    desk_page = "trading:risk"
    list_display = ("account", "symbol", "taker", "maker", "read_at")
    list_filter = ("account",)
