from dataclasses import fields
from decimal import Decimal

import pytest

from avigrid.kernel.instrument import FeeRates, Instrument
from risk.core.limits import RiskLimits, changed, loosened
from risk.core.request import OrderLine, RequestKind
from risk.core.sizing import risk_room_usd, size_for_risk
from risk.core.snapshot import Guards, Reconciliation
from risk.core.states import State
from risk.core.usage import usage
from risk.core.verdict import Ruling, evaluate
from tests.support.risk import NOW_MS, opening, plan, snapshot

CODES = [
    "kill_switch",
    "trading_state",
    "stage",
    "symbol_open",
    "reconciled",
    "stale_data",
    "clock",
    "dependencies",
    "max_concurrent",
    "plan_risk_r",
    "max_total_risk_r",
    "per_base",
    "per_symbol_risk_r",
    "anti_churn",
    "daily_loss_r",
    "drawdown",
    "loss_streak",
    "leverage",
    "notional",
    "margin",
    "liquidation",
    "order_budget",
    "price_band",
    "on_step",
    "reduce_only",
    "stop_move",
]


def test_a_calm_account_is_allowed_and_every_check_is_listed_once() -> None:
    verdict = evaluate(opening(), snapshot(), RiskLimits(), NOW_MS)
    assert verdict.ruling is Ruling.ALLOW
    assert [outcome.code for outcome in verdict.outcomes] == CODES
    assert verdict.sentence == "All risk checks passed."
    assert {outcome.code for outcome in verdict.outcomes if not outcome.applies} == {"reduce_only", "stop_move"}


def test_a_denial_lists_all_reasons_not_only_the_first() -> None:
    seen = snapshot(
        guards=Guards(account_state=State.HALTED),
        reconciliation=Reconciliation(),
        open_plans=(plan(1, base="BTC"),),
    )
    verdict = evaluate(opening(), seen, RiskLimits(), NOW_MS)
    assert verdict.ruling is Ruling.DENY
    codes = [outcome.code for outcome in verdict.refusals]
    assert codes == ["kill_switch", "trading_state", "reconciled", "per_base"]
    assert len(verdict.outcomes) == len(CODES)


@pytest.mark.parametrize("kind", [RequestKind.CLOSE, RequestKind.PROTECT, RequestKind.CANCEL])
def test_the_way_out_is_open_when_everything_else_is_lost(kind: RequestKind) -> None:
    worst = snapshot(
        equity_usd=Decimal(1),
        available_usd=Decimal(0),
        freshness=(),
        reconciliation=Reconciliation(),
        orders_last_minute=10_000,
        orders_today=10_000,
        clock_offset_ms=60_000,
        unavailable=("redis",),
        guards=Guards(State.HALTED, peak_equity_usd=Decimal(10_000), stop_streak=9, last_stop_ms=NOW_MS),
    )
    request = opening(kind=kind, position_qty=Decimal("0.01"), lines=(OrderLine(Decimal("0.01")),))
    assert evaluate(request, worst, RiskLimits(), NOW_MS).allowed


def test_defaults_are_those_of_the_risk_table() -> None:
    limits = RiskLimits()
    assert (limits.max_concurrent, limits.max_total_risk_r, limits.max_per_base) == (5, 5, 2)
    assert (limits.max_per_symbol_risk_r, limits.anti_churn_s, limits.daily_loss_r) == (2, 900, 5)
    assert (limits.drawdown_yellow_ratio, limits.drawdown_orange_ratio, limits.drawdown_red_ratio) == (
        Decimal("0.10"),
        Decimal("0.15"),
        Decimal("0.25"),
    )
    assert (limits.loss_streak_stops, limits.loss_streak_pause_min) == (4, 60)
    assert (limits.max_leverage, limits.liquidation_stop_multiple) == (5, 2)
    assert (limits.orders_per_minute, limits.orders_per_day) == (60, 5_000)
    assert (limits.book_max_age_s, limits.bars_max_age, limits.reconciliation_max_age_s) == (10, 2, 120)


@pytest.mark.parametrize(
    "changes",
    [
        {"r_usd": Decimal(0)},
        {"daily_loss_r": Decimal(-1)},
        {"max_concurrent": -1},
        {"drawdown_yellow_ratio": Decimal("0.2")},
        {"drawdown_red_ratio": Decimal(1)},
    ],
)
def test_limits_that_make_no_sense_cannot_be_made(changes: dict[str, Decimal]) -> None:
    with pytest.raises(ValueError, match="must"):
        RiskLimits(**changes)  # type: ignore[arg-type]


def test_loosened_names_what_permits_more() -> None:
    old = RiskLimits()
    new = RiskLimits(max_concurrent=6, anti_churn_s=600, daily_loss_r=Decimal(4), loss_streak_pause_min=90)
    assert set(changed(old, new)) == {"max_concurrent", "anti_churn_s", "daily_loss_r", "loss_streak_pause_min"}
    assert set(loosened(old, new)) == {"max_concurrent", "anti_churn_s"}
    assert set(loosened(new, old)) == {"daily_loss_r", "loss_streak_pause_min"}
    assert loosened(RiskLimits(flatten_on_red=True), old) == ("flatten_on_red",)
    assert loosened(RiskLimits(halt_on_critical=True), old) == ("halt_on_critical",)
    assert loosened(old, RiskLimits(halt_after_errors=21)) == ("halt_after_errors",)
    assert len(fields(RiskLimits)) == 29


BTC = Instrument(
    symbol="BTCUSDT",
    base_coin="BTC",
    quote_coin="USDT",
    tick_size=Decimal("0.1"),
    min_price=Decimal("0.1"),
    max_price=Decimal(1_000_000),
    qty_step=Decimal("0.001"),
    min_order_qty=Decimal("0.001"),
    max_limit_qty=Decimal(100),
    max_market_qty=Decimal(100),
    min_notional=Decimal(5),
    max_leverage=Decimal(100),
    funding_interval_min=480,
)


def test_size_never_risks_more_than_asked_fees_included() -> None:
    # 20 / (1000 + 60000 x 0.0011) = 20 / 1066 = 0.01876 -> 0.018
    size = size_for_risk(
        risk_usd=Decimal(20), entry=Decimal(60_000), stop=Decimal(59_000), instrument=BTC, fees=FeeRates()
    )
    assert size.quantity == Decimal("0.018")
    assert size.risk_usd == Decimal("19.188")
    assert not size.below_minimum


def test_size_below_the_smallest_order_says_so() -> None:
    size = size_for_risk(
        risk_usd=Decimal(1), entry=Decimal(60_000), stop=Decimal(59_000), instrument=BTC, fees=FeeRates()
    )
    assert (size.quantity, size.below_minimum) == (0, True)


@pytest.mark.parametrize(
    ("plans", "room"),
    [
        ((), 20),
        ((plan(1, base="BTC", risk_usd=30),), 10),
        ((plan(1, risk_usd=85),), 15),
        ((plan(1, risk_usd=120),), 0),
    ],
)
def test_risk_room(plans: tuple, room: int) -> None:
    assert risk_room_usd(snapshot(open_plans=plans), RiskLimits(), "BTCUSDT") == room


def test_usage_shows_value_limit_and_ratio() -> None:
    seen = snapshot(
        open_plans=(plan(1, base="BTC", risk_usd=30, notional_usd=5_000), plan(2, risk_usd=20, notional_usd=1_000)),
        guards=Guards(peak_equity_usd=Decimal(12_500), stop_streak=1),
        orders_today=50,
    )
    rows = {(row.code, row.subject): (row.value, row.limit, row.ratio) for row in usage(seen, RiskLimits())}
    assert rows["max_concurrent", ""] == (2, 5, Decimal("0.4"))
    assert rows["max_total_risk_r", ""] == (Decimal("2.5"), 5, Decimal("0.5"))
    assert rows["drawdown", ""] == (Decimal("0.2"), Decimal("0.15"), Decimal("0.2") / Decimal("0.15"))
    assert rows["loss_streak", ""] == (1, 4, Decimal("0.25"))
    assert rows["order_budget_day", ""] == (50, 5_000, Decimal("0.01"))
    assert rows["leverage", ""] == (Decimal("0.6"), 5, Decimal("0.12"))
    assert rows["per_symbol_risk_r", "BTCUSDT"] == (Decimal("1.5"), 2, Decimal("0.75"))
    assert rows["notional", "ETHUSDT"] == (1_000, 50_000, Decimal("0.02"))
    assert rows["per_base", "BTC"] == (1, 2, Decimal("0.5"))
