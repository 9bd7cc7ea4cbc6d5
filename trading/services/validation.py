"""Forward validation: every live signal played on the stored bars by the backtest's own fill model. Sends nothing.

Level-triggered: each call looks for signals without an end and models them from their beginning on all bars there are,
so that a restart, an outage or a second worker changes nothing. As in a replay one plan a symbol at a time is taken.
"""

import zlib
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

import structlog
from django.conf import settings
from django.db import connection, transaction
from django.db.models import Q

from accounts.selectors.trading_accounts import primary_account
from avigrid.kernel.errors import AviGridError
from avigrid.kernel.instrument import FeeRates
from avigrid.kernel.money import bps_between
from marketdata.selectors import bars
from marketdata.selectors.times import to_datetime, to_ms
from risk.core.limits import RiskLimits
from risk.selectors.limits import limits_of
from trading.avi5.config import StrategyConfig
from trading.avi5.spec import PlanSpec
from trading.avi5.window import BAR_5M_MS, BAR_15M_MS
from trading.backtest.data import MarketData
from trading.backtest.plan_result import END_OF_DATA
from trading.backtest.result import BacktestSettings, PlanResult
from trading.backtest.validation import model_plan
from trading.models import ModelledPlan, ModelledStatus, Signal, SignalStatus, StrategyVersion
from trading.selectors.observed_entry import Observed, observed_entry
from trading.selectors.replay_data import stored_market_data
from trading.selectors.strategy import config_of
from trading.selectors.validation import REAL_MARKETS

MIXED = "mixed"
_UNPLAYABLE = (SignalStatus.BELOW_MINIMUM, SignalStatus.REJECTED)
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Taken:
    """The newest plan of a symbol as the model took it: until when it holds the symbol, what it last entered."""

    busy_until: datetime | None
    entered: dict[int, datetime]
    is_open: bool = False


def validation_update() -> int:
    """Models what is new or open, symbol by symbol. Returns how many plans were written."""
    waiting = (
        Signal.objects.filter(Q(modelled=None) | Q(modelled__status=ModelledStatus.OPEN))
        .exclude(status__in=_UNPLAYABLE)
        .order_by("decision__strategy_id", "symbol")
        .values_list("decision__strategy_id", "symbol")
        .distinct()
    )
    written = 0
    for version_id, symbol in list(waiting):
        try:
            written += symbol_model(version_id=version_id, symbol=symbol)
        except AviGridError as error:  # a hole in the bars, say: the gap sweep heals it, the next call goes on
            log.warning("validation_waits", symbol=symbol, version=version_id, code=error.code, error=error.message)
    return written


@transaction.atomic
def symbol_model(*, version_id: int, symbol: str) -> int:
    """The signals of one version and symbol, oldest first; 0 where another worker is at it."""
    if not _claimed(version_id, symbol):
        return 0
    version = StrategyVersion.objects.get(pk=version_id)
    signals = list(
        Signal.objects.filter(decision__strategy=version, symbol=symbol)
        .filter(Q(modelled=None) | Q(modelled__status=ModelledStatus.OPEN))
        .exclude(status__in=_UNPLAYABLE)
        .select_related("decision", "modelled")
        .order_by("decision__bar_start", "id")
    )
    usable = _usable_until_ms(symbol)
    if usable is None or all(_is_current(signal, usable) for signal in signals):
        return 0
    config = config_of(version)
    data = stored_market_data(symbol, config, from_ms=to_ms(signals[0].decision.bar_start), to_ms=usable)
    written = 0
    taken = _taken_before(version, symbol, signals[0].decision.bar_start)
    pause_ms = _anti_churn_ms()
    for signal in signals:
        row = _model(signal, version, config, data, taken, pause_ms)
        if row is None:
            break
        row.save()
        written += 1
        taken = _taken_with(taken, row)
    return written


def _anti_churn_ms() -> int:
    """As the account has it that signals are sized for."""
    account = primary_account()
    return 1_000 * (limits_of(account.pk) if account else RiskLimits()).anti_churn_s


def _model(
    signal: Signal, version: StrategyVersion, config: StrategyConfig, data: MarketData, taken: _Taken, pause_ms: int
) -> ModelledPlan | None:
    """None: its next bar is still to come."""
    spec = PlanSpec.from_json(signal.spec)
    start_ms = to_ms(signal.decision.bar_start)
    close = to_datetime(start_ms + BAR_5M_MS)
    row = getattr(signal, "modelled", None) or ModelledPlan(signal=signal, strategy=version)
    row.symbol, row.direction, row.r_usd, row.decided_at = signal.symbol, signal.direction, spec.r_usd, close
    row.last_bar = signal.decision.bar_start
    fees = FeeRates(spec.taker_fee, spec.maker_fee)
    assumed = BacktestSettings(r_usd=spec.r_usd, fees=fees, anti_churn_ms=pause_ms)
    if taken.is_open and taken.busy_until is not None and signal.decision.bar_start >= taken.busy_until:
        return None  # whether that plan ends in this very bar is known with the next one
    skip = _why_skipped(signal, close, taken, assumed)
    if skip:
        row.status, row.reason = ModelledStatus.SKIPPED, skip
        return row
    result = model_plan(spec, start_ms, data, config, assumed)
    if result is None:
        return None
    _fill_in(row, result, data)
    entry = _first_entry(result)
    if entry is not None:
        row.entry_price = entry
        row.modelled_slippage_bps = _cost_bps(entry, spec.entry, signal.direction)
        _observe(row, observed_entry(signal, spec), spec)
    return row


def _fill_in(row: ModelledPlan, result: PlanResult, data: MarketData) -> None:
    is_over = result.reason != END_OF_DATA
    row.status = ModelledStatus.OPEN
    if is_over:
        row.status = ModelledStatus.CLOSED if result.is_traded else ModelledStatus.NOT_FILLED
    row.reason = result.reason if is_over else ""
    row.closed_at = to_datetime(result.closed_ms) if is_over else None
    row.last_bar = to_datetime(int(data.bars_5m.start_ms[_bar_of(data, result) if is_over else -1]))
    row.quantity = sum((leg.quantity for leg in result.legs), Decimal(0))
    row.gross_usd, row.fees_usd, row.funding_usd = result.gross_usd, result.fees_usd, result.funding_usd
    row.slippage_usd, row.net_usd, row.r = result.slippage_usd, result.net_usd, result.r
    row.data_hash = data.data_hash
    row.market = _market_with(row.market)


def _market_with(before: str) -> str:
    """Bars of two markets, one of them invented, are no market."""
    today = settings.AVIGRID["MARKET_ENVIRONMENT"]
    if not before or before == today or {before, today} <= set(REAL_MARKETS):
        return str(today)
    return MIXED


def _observe(row: ModelledPlan, observed: Observed | None, spec: PlanSpec) -> None:
    if observed is not None:
        row.observed_slippage_bps = _cost_bps(observed.price, spec.entry, spec.direction)
        row.observed_from = observed.source


def _bar_of(data: MarketData, result: PlanResult) -> int:
    """The 5m bar of the plan's last fine bar."""
    return int(data.fine_of_5m.searchsorted(result.last_bar, side="right")) - 1


def _first_entry(result: PlanResult) -> Decimal | None:
    first = min(result.legs, key=lambda leg: (leg.entry_ms, leg.rung, leg.cycle), default=None)
    return None if first is None else first.entry_price


def _cost_bps(price: Decimal, wanted: Decimal, direction: int) -> float:
    return float(bps_between(price, wanted) * direction)


def _why_skipped(signal: Signal, close: datetime, taken: _Taken, assumed: BacktestSettings) -> str:
    if taken.busy_until is not None and signal.decision.bar_start < taken.busy_until:
        return "plan_open"
    entered = taken.entered.get(signal.direction)
    if entered is not None and (close - entered).total_seconds() * 1000 < assumed.anti_churn_ms:
        return "anti_churn"
    return ""


def _taken_before(version: StrategyVersion, symbol: str, bar_start: datetime) -> _Taken:
    taken = _Taken(None, {})
    earlier = ModelledPlan.objects.filter(strategy=version, symbol=symbol, decided_at__lte=bar_start)
    for direction in (1, -1):
        newest = earlier.exclude(status=ModelledStatus.SKIPPED).filter(direction=direction).order_by("-decided_at")
        for row in newest[:1]:
            taken = _taken_with(taken, row)
        entered = newest.filter(status=ModelledStatus.CLOSED).values_list("decided_at", flat=True).first()
        if entered is not None:
            taken.entered[direction] = entered
    return taken


def _taken_with(taken: _Taken, row: ModelledPlan) -> _Taken:
    if row.status == ModelledStatus.SKIPPED:
        return taken
    entered = dict(taken.entered)
    if row.status != ModelledStatus.NOT_FILLED:
        entered[row.direction] = row.decided_at
    busy = row.last_bar if taken.busy_until is None else max(row.last_bar, taken.busy_until)
    return _Taken(busy, entered, is_open=row.status == ModelledStatus.OPEN)


def _usable_until_ms(symbol: str) -> int | None:
    """End of the newest 5m bar whose 15m trend is known too: a 15m bar may be stored a moment later."""
    newest_5m, newest_15m = bars.newest_start_ms(symbol, 5), bars.newest_start_ms(symbol, 15)
    if newest_5m is None:
        return None
    end_ms = newest_5m + BAR_5M_MS
    return end_ms if newest_15m is None else min(end_ms, newest_15m + 2 * BAR_15M_MS - BAR_5M_MS)


def _is_current(signal: Signal, usable_until_ms: int) -> bool:
    row = getattr(signal, "modelled", None)
    return row is not None and to_ms(row.last_bar) + BAR_5M_MS >= usable_until_ms


def _claimed(version_id: int, symbol: str) -> bool:
    """Until the transaction ends; two workers would only do the same work twice."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s, %s)", [version_id, zlib.crc32(symbol.encode()) - 2**31])
        return bool(cursor.fetchone()[0])
