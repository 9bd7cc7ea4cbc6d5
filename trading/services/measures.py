"""Gauges that only the database knows, brought up to date by the worker: states, ages, money, slippage, backlog."""

from datetime import datetime, timedelta
from decimal import Decimal

from prometheus_client import Gauge

from accounts.selectors.trading_accounts import trading_accounts
from risk.core.states import State
from risk.selectors.guards import states_of
from trading.models import LIVE_STATUSES, OPEN_PLAN_STATUSES, EquitySnapshot, Order, Plan, ReconciliationFinding
from trading.selectors.exchange_time import exchange_time
from trading.selectors.performance import performance
from trading.selectors.slippage import slippage_total
from trading.services.notifications import outbox_backlog
from trading.services.times import from_ms
from trading.services.watching import process_lives, reconciliation_age_s

PERFORMANCE_DAYS = 30
SLIPPAGE_HOURS = 1

STATE = Gauge(
    "avigrid_trading_state", "0 active, 1 reducing, 2 halted; without symbol: the account", ["account", "symbol"]
)
HEARTBEAT_AGE = Gauge("avigrid_heartbeat_age_seconds", "Since the last sign of life of a process", ["process"])
RECONCILIATION_AGE = Gauge("avigrid_reconciliation_age_seconds", "Since the last good reconciliation", ["account"])
OPEN_FINDINGS = Gauge("avigrid_reconciliation_open_findings", "Findings that stand", ["account", "severity"])
EQUITY = Gauge("avigrid_equity_usd", "Equity as the venue last showed it", ["account"])
DRAWDOWN = Gauge("avigrid_drawdown_ratio", "Equity below its 90-day peak, transfers left out", ["account"])
OPEN_PLANS = Gauge("avigrid_open_plans", "Plans in the market or on their way", ["account"])
LIVE_ORDERS = Gauge("avigrid_live_orders", "Orders by status, finished ones left out", ["account", "status"])
WIN_RATE = Gauge("avigrid_win_rate_ratio", "Winners among the plans closed in 30 days", ["account"])
PROFIT_FACTOR = Gauge("avigrid_profit_factor_ratio", "Won over lost in 30 days", ["account"])
EXPECTANCY = Gauge("avigrid_expectancy_r", "Mean net result in R over 30 days", ["account"])
CLOSED_PLANS = Gauge("avigrid_closed_plans", "Plans closed in 30 days", ["account"])
SLIPPAGE_P95 = Gauge("avigrid_slippage_p95_bps", "Slippage of taker fills in the last hour", ["account"])
SLIPPAGE_COUNT = Gauge("avigrid_slippage_fills", "Taker fills in the last hour", ["account"])
OUTBOX = Gauge("avigrid_outbox_pending", "Notifications not settled yet")
OUTBOX_AGE = Gauge("avigrid_outbox_oldest_seconds", "Age of the oldest of them")

_RANKS = {State.ACTIVE: 0, State.REDUCING: 1, State.HALTED: 2}
_PEAK_WINDOW = timedelta(days=90)


def measures_update(*, now: datetime) -> None:
    """`now` is this machine's clock. What is gone loses its series, so that nothing old alerts for ever."""
    for gauge in (STATE, HEARTBEAT_AGE, RECONCILIATION_AGE, OPEN_FINDINGS, LIVE_ORDERS, SLIPPAGE_P95, PROFIT_FACTOR):
        gauge.clear()
    for life in process_lives():
        HEARTBEAT_AGE.labels(process=life.what).set(life.age_s)
    count, oldest_s = outbox_backlog(now)
    OUTBOX.set(count)
    OUTBOX_AGE.set(oldest_s)
    for account in trading_accounts():
        _account(account.pk, account.label, now)


def drawdown_now(account_id: int) -> Decimal | None:
    """Of the newest snapshot below the highest one of 90 days before it; None without snapshots."""
    newest = EquitySnapshot.objects.filter(account_id=account_id).order_by("-at").first()
    if newest is None:
        return None
    rows = EquitySnapshot.objects.filter(account_id=account_id, at__gt=newest.at - _PEAK_WINDOW)
    peak = max(rows.order_by("-adjusted_equity_usd").values_list("adjusted_equity_usd", flat=True)[:1])
    return (peak - newest.adjusted_equity_usd) / peak if peak > 0 else Decimal(0)


def _account(account_id: int, label: str, now: datetime) -> None:
    STATE.labels(account=label, symbol="").set(0)
    for row in states_of(account_id):
        STATE.labels(account=label, symbol=row.symbol or "").set(_RANKS[State(row.state)])
    age_s = reconciliation_age_s(account_id, now)
    if age_s is not None:
        RECONCILIATION_AGE.labels(account=label).set(age_s)
    for severity in ("info", "warning", "critical"):
        found = ReconciliationFinding.objects.filter(account_id=account_id, is_open=True, severity=severity)
        OPEN_FINDINGS.labels(account=label, severity=severity).set(found.count())
    newest = EquitySnapshot.objects.filter(account_id=account_id).order_by("-at").first()
    fall = drawdown_now(account_id)
    if newest is not None and fall is not None:
        EQUITY.labels(account=label).set(float(newest.equity_usd))
        DRAWDOWN.labels(account=label).set(float(fall))
    OPEN_PLANS.labels(account=label).set(
        Plan.objects.filter(account_id=account_id, status__in=OPEN_PLAN_STATUSES).count()
    )
    live = Order.objects.filter(account_id=account_id, status__in=LIVE_STATUSES).values_list("status", flat=True)
    statuses = list(live)
    for status in LIVE_STATUSES:
        LIVE_ORDERS.labels(account=label, status=status).set(statuses.count(status))
    _results(account_id, label, now)


def _results(account_id: int, label: str, now: datetime) -> None:
    at = exchange_time(account_id)
    now = now if at is None else from_ms(at.now_ms)  # fills and closes carry the exchange's time
    went = performance(account_id, since=(now - timedelta(days=PERFORMANCE_DAYS)).date())
    CLOSED_PLANS.labels(account=label).set(went.plans)
    if went.win_rate is not None and went.expectancy_r is not None:
        WIN_RATE.labels(account=label).set(float(went.win_rate))
        EXPECTANCY.labels(account=label).set(float(went.expectancy_r))
    if went.profit_factor is not None:
        PROFIT_FACTOR.labels(account=label).set(float(went.profit_factor))
    slipped = slippage_total(since=now - timedelta(hours=SLIPPAGE_HOURS), account_id=account_id, takers_only=True)
    SLIPPAGE_COUNT.labels(account=label).set(slipped.count if slipped else 0)
    if slipped is not None:
        SLIPPAGE_P95.labels(account=label).set(float(slipped.p95_bps))
