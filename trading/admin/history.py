"""What all read-only pages of trading have in common: the names of columns whose own names are for programs."""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from django.contrib import admin
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from avigrid.common.admin_pages import ReadOnlyAdmin
from avigrid.kernel.money import plain

LABELS: Mapping[str, str | Promise] = {
    "adjusted_equity_usd": _("equity without transfers, USDT"),
    "available_usd": _("available, USDT"),
    "avg_price": _("average price"),
    "change_usd": _("change, USDT"),
    "entry_value_usd": _("entry value, USDT"),
    "equity_usd": _("equity, USDT"),
    "exec_id": _("the exchange's number of the fill"),
    "executions_until_ms": _("fills seen until, ms"),
    "fee_usd": _("fee, USDT"),
    "fees_usd": _("fees, USDT"),
    "filled_qty": _("filled quantity"),
    "funding_usd": _("funding, USDT"),
    "initial_margin_usd": _("initial margin, USDT"),
    "maintenance_margin_usd": _("maintenance margin, USDT"),
    "order_link_id": _("our number of the order"),
    "p_win": _("probability of a win"),
    "position_idx": _("side of the position (0 one-way, 1 long, 2 short)"),
    "r_usd": _("1 R, USDT"),
    "realised_pnl_usd": _("realised PnL, USDT"),
    "risk_usd": _("risk, USDT"),
    "seq": _("sequence"),
    "slippage_bps": _("slippage, bps"),
    "unrealised_pnl_usd": _("unrealised PnL, USDT"),
    "venue_filled_qty": _("filled, says the exchange"),
    "venue_order_id": _("the exchange's number of the order"),
    "venue_updated_ms": _("changed at the exchange, ms"),
    "wallet_balance_usd": _("wallet balance, USDT"),
}


class HistoryAdmin(ReadOnlyAdmin):
    def _shown(self, name: Any) -> Any:
        return _column(name, LABELS[name]) if name in LABELS else super()._shown(name)


def _column(name: str, words: str | Promise) -> Callable[[Any], str]:
    """Under its name in words; money and sizes without the zeros their storage pads them with."""

    @admin.display(description=str(words), ordering=name)
    def shown(row: Any) -> str:
        value = getattr(row, name)
        if isinstance(value, Decimal):
            return plain(value)
        return "–" if value in (None, "") else str(value)

    shown.__name__ = name
    return shown
