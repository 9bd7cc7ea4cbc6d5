"""Levels and sizes for any legal filters and prices: 1R is never exceeded, everything on its grain, sides mirrored."""

from dataclasses import replace
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from hypothesis import assume, given
from hypothesis import strategies as st

from avigrid.kernel.instrument import FeeRates, Instrument
from tests.unit.trading.avi5.builders import instrument
from trading.avi5.config import Profile, StrategyConfig
from trading.avi5.levels import build_plan
from trading.avi5.spec import PlanSpec, Refusal, split_exits

D = Decimal
ticks = st.sampled_from(["0.0000001", "0.00001", "0.0005", "0.01", "0.05", "0.1", "0.5", "1", "2.5"])
steps = st.sampled_from(["0.0001", "0.001", "0.01", "0.1", "1", "10", "1000"])


@st.composite
def cases(draw: st.DrawFn) -> tuple[StrategyConfig, Instrument, FeeRates, float, float, Decimal]:
    tick, step = draw(ticks), draw(steps)
    close = float(D(tick) * draw(st.integers(20, 5_000_000)))
    config = StrategyConfig(
        profile=draw(st.sampled_from(list(Profile))),
        rungs=draw(st.integers(1, 12)),
        rung_weight_x=draw(st.floats(0.5, 1.5)),
        rung_step_atr_x=draw(st.floats(0, 5)),
        min_step_bps=draw(st.floats(1, 100)),
        atr_mult_x=draw(st.floats(0.5, 20)),
        rung_tp_steps_x=draw(st.floats(0.5, 3)),
    )
    filters = replace(
        instrument(tick=tick, step=step, min_qty=str(D(step) * draw(st.integers(1, 20)))), max_price=D(10) ** 9
    )
    fees = FeeRates(D(draw(st.sampled_from(["0", "0.00055", "0.001"]))), D("0.0002"))
    atr = close * draw(st.floats(0.00005, 0.04))
    return config, filters, fees, close, atr, D(draw(st.integers(1, 100_000))) / 10


def make(case: tuple[StrategyConfig, Instrument, FeeRates, float, float, Decimal], direction: int) -> PlanSpec:
    config, filters, fees, close, atr, r_usd = case
    return build_plan(
        symbol="X",
        direction=direction,
        close=close,
        atr=atr,
        config=config,
        instrument=filters,
        fees=fees,
        r_usd=r_usd,
    )


@given(cases(), st.sampled_from([1, -1]))
def test_the_planned_loss_never_exceeds_1r(
    case: tuple[StrategyConfig, Instrument, FeeRates, float, float, Decimal], direction: int
) -> None:
    """Recomputed here from prices and quantities: what is lost if everything fills and the stop is hit."""
    spec = make(case, direction)
    fees = case[2]
    loss = sum(
        (r.quantity * (direction * (r.price - spec.stop)) + r.quantity * r.price * 2 * fees.taker for r in spec.rungs),
        D(0),
    )
    assert loss <= spec.r_usd
    assert spec.planned_loss_usd == loss
    if spec.refusal is None and len(spec.rungs) == 1:
        one_more = (spec.quantity + case[1].qty_step) / spec.quantity
        at_limit = spec.quantity == case[1].max_limit_qty
        assert at_limit or loss * one_more > spec.r_usd, "smaller than 1R allows"


@given(cases(), st.sampled_from([1, -1]))
def test_prices_on_tick_in_the_named_direction_and_sizes_on_step(
    case: tuple[StrategyConfig, Instrument, FeeRates, float, float, Decimal], direction: int
) -> None:
    config, filters, _, close, atr, _ = case
    spec = make(case, direction)
    tick = filters.tick_size
    count = len(spec.rungs)
    entry, d = D(repr(close)), D(repr(config.atr_mult_x * atr))
    step = max(D(repr(config.rung_step_atr_x * atr)), entry * D(repr(config.min_step_bps)) / 10_000)
    adverse = ROUND_FLOOR if direction > 0 else ROUND_CEILING

    def snap(value: Decimal) -> Decimal:
        return (value / tick).to_integral_value(rounding=adverse) * tick

    assert spec.stop == snap(entry - direction * ((count - 1) * step + d))
    for rung in spec.rungs:
        assert rung.quantity % filters.qty_step == 0
        assert rung.price % tick == 0
        assert abs(rung.price - (entry - direction * rung.rung * step)) <= tick / 2
        if rung.take_profit is not None:
            exact = entry - direction * rung.rung * step + direction * D(repr(config.rung_tp_steps_x)) * step
            assert rung.take_profit == snap(exact)
    for index, exit_ in enumerate(spec.take_profits, start=1):
        assert exit_.price == snap(entry + direction * index * d)
    if spec.is_placeable:
        assert all(not filters.is_below_minimum(r.quantity, r.price) for r in spec.rungs)
        levels = [spec.stop, *[r.price for r in reversed(spec.rungs)]]
        assert levels == sorted(set(levels), reverse=direction < 0)
    assert PlanSpec.from_json(spec.to_json()) == spec


@given(cases())
def test_long_and_short_are_mirror_images(
    case: tuple[StrategyConfig, Instrument, FeeRates, float, float, Decimal],
) -> None:
    """Distances are equal to the tick; sizes differ only by what a tick and the fee on it make."""
    config, filters, _, close, atr, _ = case
    up, down = make(case, 1), make(case, -1)
    assume(down.refusal is not Refusal.PRICE_OUT_OF_RANGE)
    entry = D(repr(close))
    assert entry - up.stop == down.stop - entry
    for a, b in zip(up.take_profits, down.take_profits, strict=True):
        assert a.price - entry == entry - b.price
    for a, b in zip(up.rungs, down.rungs, strict=True):
        assert abs((entry - a.price) - (b.price - entry)) <= filters.tick_size
        if a.take_profit is not None and b.take_profit is not None:
            assert a.take_profit - entry == entry - b.take_profit


@given(
    st.integers(1, 10_000),
    steps,
    st.integers(1, 30),
    st.lists(st.integers(1, 9), min_size=1, max_size=3),
)
def test_exits_sum_to_the_filled_size(units: int, step: str, minimum: int, weights: list[int]) -> None:
    filters = instrument(step=step, min_qty=str(D(step) * minimum))
    grain = make((StrategyConfig(), filters, FeeRates(), 1000.0, 10.0, D(100)), 1).grain
    size = units * D(step)
    shares = tuple(D(w) / sum(weights) for w in weights)
    parts = split_exits(size, shares, grain)
    assert sum(parts) == size
    assert all(part % D(step) == 0 and part >= 0 for part in parts)
    if size >= filters.min_order_qty:
        assert all(part == 0 or part >= filters.min_order_qty for part in parts)
