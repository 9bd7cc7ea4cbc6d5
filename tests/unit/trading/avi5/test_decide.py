"""The eleven rules one by one, the states of a decision, its bytes, and what it must not see."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from avigrid.kernel.errors import InvalidCandle
from avigrid.kernel.instrument import FeeRates
from avigrid.kernel.market import BookFeatures
from trading.avi5.config import StrategyConfig
from trading.avi5.decide import Decision, DecisionStatus, decide, decide_on, decision_bytes
from trading.avi5.rules import Rule
from trading.avi5.window import Bars, Indicators, MarketWindow, check_window

FEES = FeeRates()
CONFIG = StrategyConfig()
NOON = 1_758_715_200_000
"""2025-09-24 12:00 UTC."""

LONG = Indicators(
    close=100.0,
    vwap=99.0,
    sigma=0.5,
    atr=0.2,
    donchian_high=100.5,
    donchian_low=97.0,
    atr_percentile=0.5,
    proxy_imbalance=0.6,
    ema_fast=99.5,
    ema_slow=98.0,
    trend=1,
)
SHORT = replace(LONG, vwap=101.0, proxy_imbalance=-0.6, ema_fast=100.5, ema_slow=102.0, trend=-1)
BOOK = BookFeatures("BTCUSDT", NOON, 100.0, 0.5, 100.01, 1.0, 200_000.0)


def judge(
    indicators: Indicators = LONG,
    book: BookFeatures | None = BOOK,
    config: StrategyConfig = CONFIG,
    *,
    now_ms: int = NOON,
    next_funding_ms: int | None = NOON + 4 * 3_600_000,
    is_warm: bool = True,
    allow_proxy: bool = True,
) -> Decision:
    return decide_on(
        indicators,
        book,
        config,
        symbol="BTCUSDT",
        bar_start_ms=NOON - 300_000,
        close_ms=NOON,
        is_warm=is_warm,
        now_ms=now_ms,
        next_funding_ms=next_funding_ms,
        fees=FEES,
        allow_proxy=allow_proxy,
    )


def failed(decision: Decision) -> list[str]:
    return [rule.value for rule in decision.failed_rules]


def test_a_long_signal() -> None:
    """cost_r: (0.055 % + 0.02 % + 27 bps: 2 + 25 for a thin book) * 100 / 1.6 = 0.215625 with 200k USD of depth."""
    thin = judge()
    assert failed(thin) == ["cost"]
    assert thin.cost_r == pytest.approx(0.215625)
    deep = judge(book=replace(BOOK, depth_usd=2e6))
    assert (deep.status, deep.direction, failed(deep)) == (DecisionStatus.SIGNAL, 1, [])
    assert deep.cost_r == pytest.approx((0.00075 + 0.0002) * 100 / 1.6)
    assert deep.score == pytest.approx(0.5 * (1.0 / 1.5) + 0.5 * 0.5)
    assert deep.distance == pytest.approx(1.6)
    assert not deep.used_proxy


def test_a_short_signal_mirrors_it() -> None:
    book = replace(BOOK, imbalance=-0.5, microprice=99.99, depth_usd=2e6)
    decision = judge(SHORT, book)
    assert (decision.status, decision.direction, failed(decision)) == (DecisionStatus.SIGNAL, -1, [])
    assert [o.rule for o in decision.long_rules if not o.passed] == [
        Rule.TREND,
        Rule.TRIGGER,
        Rule.IMBALANCE,
        Rule.MICROPRICE,
    ]


DEEP = replace(BOOK, depth_usd=2e6)


@pytest.mark.parametrize(
    ("rule", "changes"),
    [
        ("fresh", {"now_ms": NOON + 5_001}),
        ("fresh", {"now_ms": NOON - 1_001}),
        ("trend", {"indicators": replace(LONG, trend=0)}),
        ("trigger", {"indicators": replace(LONG, close=99.5)}),
        ("not_chasing", {"indicators": replace(LONG, vwap=98.4, sigma=0.5)}),
        ("imbalance", {"book": replace(DEEP, imbalance=0.3499)}),
        ("microprice", {"book": replace(DEEP, microprice=100.0)}),
        ("spread", {"book": replace(DEEP, spread_bps=5.01)}),
        ("funding", {"next_funding_ms": NOON + 15 * 60_000 - 1}),
        ("hour_open", {"config": StrategyConfig(dead_hours=(12,))}),
        ("liquidity", {"book": replace(DEEP, depth_usd=49_999.0), "config": StrategyConfig(max_cost_r=1)}),
        ("cost", {"config": StrategyConfig(atr_mult_x=1.0)}),
    ],
)
def test_each_rule_fails_alone_just_past_its_limit(rule: str, changes: dict[str, object]) -> None:
    decision = judge(**{"book": DEEP, **changes})  # type: ignore[arg-type]
    assert failed(decision) == [rule]
    assert (decision.direction, decision.status) == (0, DecisionStatus.NO_SIGNAL)


@pytest.mark.parametrize(
    "changes",
    [
        {"now_ms": NOON + 5_000},
        {"now_ms": NOON - 1_000},  # our estimate of the exchange's time may be a little behind
        {"indicators": replace(LONG, vwap=98.5)},
        {"book": replace(DEEP, imbalance=0.35)},
        {"book": replace(DEEP, spread_bps=5.0)},
        {"next_funding_ms": NOON + 15 * 60_000},
        {"next_funding_ms": None},
        {"book": replace(DEEP, depth_usd=50_000.0), "config": StrategyConfig(max_cost_r=1)},
        {"config": StrategyConfig(dead_hours=(11,))},
    ],
)
def test_at_its_limit_a_rule_passes(changes: dict[str, object]) -> None:
    assert failed(judge(**{"book": DEEP, **changes})) == []  # type: ignore[arg-type]


def test_every_outcome_is_kept_with_value_threshold_and_unit() -> None:
    decision = judge(book=replace(DEEP, imbalance=0.1))
    assert [o.rule.value for o in decision.long_rules] == [
        "fresh",
        "trend",
        "trigger",
        "not_chasing",
        "imbalance",
        "microprice",
        "spread",
        "funding",
        "hour_open",
        "liquidity",
        "cost",
    ]
    by_name = {o.rule.value: o for o in decision.long_rules}
    assert (by_name["trigger"].value, by_name["trigger"].threshold, by_name["trigger"].unit) == (100.0, 99.5, "price")
    assert (by_name["imbalance"].value, by_name["imbalance"].threshold) == (0.1, 0.35)
    assert (by_name["funding"].value, by_name["funding"].unit) == (240.0, "min")
    assert {o.rule.value: o.threshold for o in decision.short_rules}["imbalance"] == -0.35


@pytest.mark.parametrize("field", ["vwap", "sigma", "atr", "atr_percentile", "proxy_imbalance"])
def test_nan_never_passes(field: str) -> None:
    decision = judge(replace(LONG, **{field: math.nan}), None)  # type: ignore[arg-type]
    if field == "atr_percentile":
        # Volatility unknown is not volatile: it only prices slippage and is always known after warm-up.
        assert failed(decision) == []
    else:
        assert decision.direction == 0
        assert failed(decision) != []


def test_without_a_book_the_proxy_stands_in_and_says_so() -> None:
    decision = judge(book=None)
    assert (decision.direction, decision.used_proxy, decision.imbalance) == (1, True, 0.6)
    assert judge(book=None, allow_proxy=False).direction == 0


def test_an_old_book_is_missing_not_replaced() -> None:
    decision = judge(book=replace(DEEP, time_ms=NOON - 10_001))
    assert set(failed(decision)) == {"imbalance", "microprice", "spread", "liquidity"}
    assert not decision.used_proxy
    assert math.isnan(decision.imbalance)


def test_theta_follows_the_hour_of_the_close() -> None:
    config = StrategyConfig(theta_by_hour={11: 0.9, 12: 0.2})
    assert judge(book=replace(DEEP, imbalance=0.25), config=config).direction == 1


def test_volatility_costs_more() -> None:
    assert judge(replace(LONG, atr_percentile=0.8), DEEP).slippage_bps == 2.0
    assert judge(replace(LONG, atr_percentile=0.81), DEEP).slippage_bps == 17.0


def test_warming_up_never_signals() -> None:
    decision = judge(book=DEEP, is_warm=False)
    assert (decision.status, decision.direction, failed(decision)) == (DecisionStatus.WARMING_UP, 0, [])


def window(bars_5m: int = 700, bars_15m: int = 300, seed: int = 5) -> MarketWindow:
    rng = np.random.default_rng(seed)

    def bars(count: int, step_ms: int, end_ms: int) -> Bars:
        close = 100 + np.cumsum(rng.normal(0.01, 0.1, count))
        open_ = np.concatenate([[100.0], close[:-1]])
        high, low = np.maximum(open_, close) + 0.05, np.minimum(open_, close) - 0.05
        start = end_ms - step_ms * np.arange(count, 0, -1, dtype=np.int64)
        return Bars(start, open_, high, low, close, rng.uniform(1, 9, count))

    return MarketWindow("BTCUSDT", bars(bars_5m, 300_000, NOON), bars(bars_15m, 900_000, NOON))


def test_same_inputs_same_bytes_and_history_beyond_the_horizon_is_ignored() -> None:
    full = window(1500, 1400)
    kwargs = {"now_ms": NOON + 100, "next_funding_ms": NOON + 9_000_000, "fees": FEES}
    first = decision_bytes(decide(full, None, CONFIG, **kwargs))  # type: ignore[arg-type]
    assert decision_bytes(decide(full, None, CONFIG, **kwargs)) == first  # type: ignore[arg-type]
    shorter = MarketWindow("BTCUSDT", full.bars_5m.tail(600), full.bars_15m.tail(1000))
    assert decision_bytes(decide(shorter, None, CONFIG, **kwargs)) == first  # type: ignore[arg-type]
    record = json.loads(first)
    assert record["config_hash"] == CONFIG.config_hash
    assert len(record["long_rules"]) == len(record["short_rules"]) == 11


@pytest.mark.parametrize(("bars_5m", "bars_15m"), [(288, 300), (700, 49)])
def test_one_bar_short_of_warm_up(bars_5m: int, bars_15m: int) -> None:
    decision = decide(window(bars_5m, bars_15m), None, CONFIG, now_ms=NOON, next_funding_ms=None, fees=FEES)
    assert decision.status is DecisionStatus.WARMING_UP


def test_warm_at_exactly_289_and_50() -> None:
    decision = decide(window(289, 50), None, CONFIG, now_ms=NOON, next_funding_ms=None, fees=FEES)
    assert decision.status is not DecisionStatus.WARMING_UP
    assert not math.isnan(decision.indicators.atr_percentile)


def test_a_window_must_fit_together() -> None:
    good = window()
    check_window(good)
    hole = Bars(
        *(np.delete(getattr(good.bars_5m, name), 5) for name in ("start_ms", "open", "high", "low", "close", "volume"))
    )
    with pytest.raises(InvalidCandle, match="holes"):
        check_window(replace(good, bars_5m=hole))
    with pytest.raises(InvalidCandle, match="15m bar must close"):
        check_window(replace(good, bars_15m=good.bars_15m.part(0, 299)))
    with pytest.raises(InvalidCandle, match="15m bar must close"):
        check_window(replace(good, bars_5m=good.bars_5m.part(0, 699)))
