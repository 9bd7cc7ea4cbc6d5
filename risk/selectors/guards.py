"""What risk remembers of an account, as the pure checks want it."""

from datetime import UTC, datetime

from django.db.models import Q

from avigrid.kernel.money import ZERO
from risk.core.snapshot import Guards, LastEntry, SymbolState
from risk.core.states import State, strictest
from risk.models import AccountMeter, EntryMark, TradingState


def effective_state(account_id: int, symbol: str | None = None) -> State:
    """The stricter of account and symbol, in one query; `symbol` None asks for the account alone."""
    scope = Q(symbol__isnull=True) if symbol is None else Q(symbol__isnull=True) | Q(symbol=symbol)
    rows = TradingState.objects.filter(scope, account_id=account_id).order_by().values_list("state", flat=True)
    return strictest(State(value) for value in rows)


def states_of(account_id: int) -> list[TradingState]:
    """Every state that was ever set, the account's own first, ACTIVE ones included."""
    rows = TradingState.objects.filter(account_id=account_id).select_related("changed_by")
    return sorted(rows, key=lambda row: row.symbol or "")


def guards_of(account_id: int, symbol: str, now_ms: int) -> Guards:
    """Three queries: states, meter, entry marks of the symbol."""
    account_state, symbol_states = State.ACTIVE, []
    states = TradingState.objects.filter(Q(symbol__isnull=True) | Q(symbol=symbol), account_id=account_id)
    for scope, value in states.order_by().values_list("symbol", "state"):
        if scope is None:
            account_state = State(value)
        else:
            symbol_states.append(SymbolState(scope, State(value)))
    marks = EntryMark.objects.filter(account_id=account_id, symbol=symbol).values_list("direction", "entered_at")
    entries = tuple(LastEntry(symbol, direction, _ms(entered_at)) for direction, entered_at in marks)
    meter = AccountMeter.objects.filter(account_id=account_id).order_by().first()
    if meter is None:
        return Guards(account_state, tuple(symbol_states), entries=entries)
    today = datetime.fromtimestamp(now_ms / 1000, UTC).date()
    return Guards(
        account_state,
        tuple(symbol_states),
        peak_equity_usd=meter.peak_usd,
        stop_streak=meter.stop_streak,
        last_stop_ms=None if meter.last_stop_at is None else _ms(meter.last_stop_at),
        entries=entries,
        # Before the day's first look nothing is known of midnight: then every open loss counts as today's.
        open_loss_at_midnight_usd=meter.day_open_loss_usd if meter.day == today else ZERO,
    )


def _ms(at: datetime) -> int:
    return round(at.timestamp() * 1000)
