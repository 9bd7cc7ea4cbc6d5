"""What risk remembers of an account, as the pure checks want it."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from django.db import connection
from django.db.models import Q

from avigrid.common.reading import read_once
from avigrid.kernel.money import ZERO
from risk.core.snapshot import Guards, LastEntry, SymbolState
from risk.core.states import State, strictest
from risk.models import AccountMeter, TradingState


@read_once
def effective_state(account_id: int, symbol: str | None = None) -> State:
    """The stricter of account and symbol, in one query; `symbol` None asks for the account alone."""
    scope = Q(symbol__isnull=True) if symbol is None else Q(symbol__isnull=True) | Q(symbol=symbol)
    rows = TradingState.objects.filter(scope, account_id=account_id).order_by().values_list("state", flat=True)
    return strictest(State(value) for value in rows)


@read_once
def states_of(account_id: int) -> list[TradingState]:
    """Every state that was ever set, the account's own first, ACTIVE ones included."""
    rows = TradingState.objects.filter(account_id=account_id).select_related("changed_by")
    return sorted(rows, key=lambda row: row.symbol or "")


@read_once
def meter_of(account_id: int) -> AccountMeter | None:
    return AccountMeter.objects.filter(account_id=account_id).order_by().first()


def guards_shown(account_id: int, now_ms: int) -> Guards:
    """The account's own, without any symbol's, from what its page has read anyway."""
    meter = meter_of(account_id)
    if meter is None:
        return Guards()
    return Guards(
        peak_equity_usd=meter.peak_usd,
        stop_streak=meter.stop_streak,
        open_loss_at_midnight_usd=_open_loss_at_midnight(meter.day, meter.day_open_loss_usd, now_ms),
    )


# Without a meter the right side is all nulls.
GUARD_COLUMNS = """
        (SELECT json_agg(json_build_array(symbol, state)) FROM risk_tradingstate
          WHERE account_id = %(account)s AND (symbol IS NULL OR symbol = %(symbol)s)),
        (SELECT json_agg(json_build_array(direction, round(extract(epoch FROM entered_at) * 1000)))
           FROM risk_entrymark WHERE account_id = %(account)s AND symbol = %(symbol)s),
        meter.peak_usd, meter.stop_streak, meter.last_stop_at, meter.day, meter.day_open_loss_usd
"""
# One round trip instead of three: this is on the way of every order.
_GUARDS = f"""
    SELECT {GUARD_COLUMNS}
    FROM (VALUES (1)) AS always LEFT JOIN risk_accountmeter AS meter ON meter.account_id = %(account)s
"""  # noqa: S608


def guards_of(account_id: int, symbol: str, now_ms: int) -> Guards:
    with connection.cursor() as cursor:
        cursor.execute(_GUARDS, {"account": account_id, "symbol": symbol})
        return guards_from(cursor.fetchone(), symbol, now_ms)


def guards_from(row: tuple[Any, ...], symbol: str, now_ms: int) -> Guards:
    """`row` is what GUARD_COLUMNS selects."""
    states, marks, peak_usd, streak, last_stop_at, day, day_open_loss_usd = row
    scopes = [(scope, State(value)) for scope, value in states or ()]
    return Guards(
        account_state=strictest(state for scope, state in scopes if scope is None),
        symbol_states=tuple(SymbolState(scope, state) for scope, state in scopes if scope is not None),
        peak_equity_usd=peak_usd,
        stop_streak=streak or 0,
        last_stop_ms=None if last_stop_at is None else round(last_stop_at.timestamp() * 1000),
        entries=tuple(LastEntry(symbol, direction, int(entered_ms)) for direction, entered_ms in marks or ()),
        open_loss_at_midnight_usd=_open_loss_at_midnight(day, day_open_loss_usd, now_ms),
    )


def _open_loss_at_midnight(day: date | None, open_loss_usd: Decimal, now_ms: int) -> Decimal:
    """Before the day's first look nothing is known of midnight: then every open loss counts as today's."""
    return open_loss_usd if day == datetime.fromtimestamp(now_ms / 1000, UTC).date() else ZERO
