"""A short is a long in the mirror, in deciding and in living; and looking at a bar twice sees the same bytes."""

from dataclasses import replace
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from avigrid.kernel.instrument import FeeRates
from avigrid.kernel.market import BookFeatures
from avigrid.kernel.orders import Side
from tests.property.test_plan_life import EVENTS, _apply_fate, lives
from tests.unit.trading.avi5.builders import Bench, instrument, view
from trading.avi5.actions import Action, MoveStop, PlaceOrder
from trading.avi5.config import StrategyConfig
from trading.avi5.decide import Decision, decide_on, decision_bytes
from trading.avi5.levels import build_plan
from trading.avi5.state import PlanEvent
from trading.avi5.window import Indicators

D = Decimal
NOON = 1_758_715_200_000
TWICE_THE_ENTRY = D(2000)
"""Prices are mirrored at 1000: p becomes 2000 - p."""

# Sixteenths: sums and differences of these are exact in binary, so that a mirrored threshold is the same threshold.
sixteenths = st.integers(0, 160).map(lambda n: n / 16)


@st.composite
def scenes(draw: st.DrawFn) -> tuple[Indicators, BookFeatures, int, int | None]:
    vwap = 1000.0 - draw(st.integers(-80, 80)) / 16
    lead = draw(st.integers(-40, 40)) / 16
    indicators = Indicators(
        close=1000.0,
        vwap=vwap,
        sigma=draw(sixteenths),
        atr=draw(sixteenths),
        donchian_high=1010.0,
        donchian_low=990.0,
        atr_percentile=draw(st.floats(0, 1)),
        proxy_imbalance=draw(st.floats(-1, 1)),
        ema_fast=1000.0 + lead,
        ema_slow=1000.0,
        trend=(lead > 0) - (lead < 0),
    )
    book = BookFeatures(
        symbol="X",
        time_ms=NOON,
        mid=1000.0,
        imbalance=draw(st.floats(-1, 1)),
        microprice=1000.0 + draw(st.integers(-8, 8)) / 16,
        spread_bps=draw(st.floats(0, 10)),
        depth_usd=draw(st.floats(0, 3e6)),
    )
    return indicators, book, draw(st.integers(0, 8_000)), draw(st.none() | st.integers(0, 3_600_000))


def judge(indicators: Indicators, book: BookFeatures, age_ms: int, to_funding_ms: int | None) -> Decision:
    return decide_on(
        indicators,
        book,
        StrategyConfig(),
        symbol="X",
        bar_start_ms=NOON - 300_000,
        close_ms=NOON,
        is_warm=True,
        now_ms=NOON + age_ms,
        next_funding_ms=None if to_funding_ms is None else NOON + to_funding_ms,
        fees=FeeRates(),
    )


@settings(max_examples=200)
@given(scenes())
def test_a_mirrored_market_gives_the_mirrored_decision(scene: tuple[Indicators, BookFeatures, int, int | None]) -> None:
    indicators, book, age_ms, to_funding_ms = scene
    mirrored = replace(
        indicators,
        vwap=2000.0 - indicators.vwap,
        proxy_imbalance=-indicators.proxy_imbalance,
        ema_fast=2000.0 - indicators.ema_fast,
        trend=-indicators.trend,
    )
    other_book = replace(book, imbalance=-book.imbalance, microprice=2000.0 - book.microprice)
    one = judge(indicators, book, age_ms, to_funding_ms)
    other = judge(mirrored, other_book, age_ms, to_funding_ms)
    assert other.direction == -one.direction
    assert (other.status, other.score, other.cost_r, other.distance) == (
        one.status,
        one.score,
        one.cost_r,
        one.distance,
    )
    assert [(o.rule, o.passed) for o in other.long_rules] == [(o.rule, o.passed) for o in one.short_rules]
    assert [(o.rule, o.passed) for o in other.short_rules] == [(o.rule, o.passed) for o in one.long_rules]


@given(scenes())
def test_the_same_bar_gives_the_same_bytes(scene: tuple[Indicators, BookFeatures, int, int | None]) -> None:
    assert decision_bytes(judge(*scene)) == decision_bytes(judge(*scene))


def _mirror(action: Action) -> Action:
    if isinstance(action, PlaceOrder):
        side = Side.from_direction(-action.side.sign)
        return replace(action, side=side, price=None if action.price is None else TWICE_THE_ENTRY - action.price)
    if isinstance(action, MoveStop):
        return replace(action, price=TWICE_THE_ENTRY - action.price)
    return action


def _bench(direction: int, config: StrategyConfig) -> Bench:
    plan = build_plan(
        symbol="X",
        direction=direction,
        close=1000.0,
        atr=10.0,
        config=config,
        instrument=instrument(),
        fees=FeeRates(D(0), D(0)),  # a fee is a share of the price and the price is what is mirrored
        r_usd=D(100),
    )
    return Bench(plan, config)


@settings(max_examples=200)
@given(lives())
def test_a_short_plan_lives_as_the_long_one_in_the_mirror(
    life: tuple[StrategyConfig, int, list[tuple[str, int, int, str]]],
) -> None:
    config, _, steps = life
    long, short = _bench(1, config), _bench(-1, config)
    now_ms = 0
    for fate, pick, percent, wish in steps:
        now_ms += 300_000
        price = {"up": D(1200), "down": D(940)}.get(wish, D(1000))
        trend = -1 if wish == "against" else 1
        funding = now_ms + 60_000 if wish == "funding" else None
        events = [PlanEvent(EVENTS[wish])] if wish in EVENTS else []
        done = long.step(view(str(price), now_ms=now_ms, trend=trend, next_funding_ms=funding), *events)
        mirrored = short.step(
            view(str(TWICE_THE_ENTRY - price), now_ms=now_ms, trend=-trend, next_funding_ms=funding), *events
        )
        assert [_mirror(action) for action in mirrored] == done
        assert short.plan.status is long.plan.status
        assert short.plan.position_qty == long.plan.position_qty
        if long.plan.status.is_final:
            return
        _apply_fate(long, fate, pick, percent)
        _apply_fate(short, fate, pick, percent)
