"""From a decision to prices and sizes: entry, stop, take-profits and the 1R size, for swing and grid."""

import math
from decimal import Decimal

from avigrid.kernel.instrument import FeeRates, Instrument
from avigrid.kernel.money import ZERO, Rounding, decimal_from_float
from trading.avi5.config import Profile, StrategyConfig
from trading.avi5.decide import Decision
from trading.avi5.spec import Grain, PlanSpec, Refusal, RungSpec, TakeProfitSpec

_BPS = Decimal(10_000)


def plan_for(
    decision: Decision, config: StrategyConfig, *, instrument: Instrument, fees: FeeRates, r_usd: Decimal
) -> PlanSpec:
    """The plan a signal stands for, in the config's profile. Look at `refusal` before placing it."""
    return build_plan(
        symbol=decision.symbol,
        direction=decision.direction,
        close=decision.indicators.close,
        atr=decision.indicators.atr,
        config=config,
        instrument=instrument,
        fees=fees,
        r_usd=r_usd,
    )


def build_plan(
    *,
    symbol: str,
    direction: int,
    close: float,
    atr: float,
    config: StrategyConfig,
    instrument: Instrument,
    fees: FeeRates,
    r_usd: Decimal,
) -> PlanSpec:
    """`direction` 1 or -1. Prices snap: entries to nearest, stop away from entry, take-profits toward entry."""
    if not math.isfinite(atr) or config.atr_mult_x * atr <= 0:
        return _empty(symbol, direction, close, config, instrument, fees, r_usd)
    raw_entry = decimal_from_float(close)
    distance = decimal_from_float(config.atr_mult_x * atr)
    count = config.rungs if config.profile is Profile.GRID else 1
    step = max(
        decimal_from_float(config.rung_step_atr_x * atr), raw_entry * decimal_from_float(config.min_step_bps) / _BPS
    )
    # Away from entry for the stop and toward it for take-profits is the same direction on the price axis.
    away = Rounding.DOWN if direction > 0 else Rounding.UP
    stop = instrument.price(raw_entry - direction * ((count - 1) * step + distance), away)
    prices = [instrument.price(raw_entry - direction * j * step, Rounding.NEAREST) for j in range(count)]
    exits: list[Decimal | None] = [None] * count
    ladder: tuple[TakeProfitSpec, ...] = ()
    if config.profile is Profile.GRID:
        # One product, so that a target one step above rung 1 is the entry itself: a step of 28 digits added and taken
        # away again may end below it, and a whole tick is lost.
        reach = decimal_from_float(config.rung_tp_steps_x)
        exits = [instrument.price(raw_entry + direction * (reach - j) * step, away) for j in range(count)]
    else:
        ladder = tuple(
            TakeProfitSpec(instrument.price(raw_entry + direction * i * distance, away), decimal_from_float(share))
            for i, share in enumerate(config.tp_shares, start=1)
        )
    quantities = _sizes(prices, stop, config, instrument, fees, r_usd)
    limit = raw_entry * (1 + direction * decimal_from_float(config.max_slippage_bps) / _BPS)
    losses = [
        quantity * (abs(price - stop) + _fees_per_unit(price, fees))
        for price, quantity in zip(prices, quantities, strict=True)
    ]
    rungs = tuple(
        RungSpec(
            rung=j,
            price=prices[j],
            limit_price=instrument.price(limit, away) if j == 0 else prices[j],
            quantity=quantities[j],
            is_post_only=j > 0,
            take_profit=exits[j],
            loss_usd=losses[j],
        )
        for j in range(count)
    )
    targets = [tp.price for tp in ladder] or [price for price in exits if price is not None]
    return PlanSpec(
        symbol=symbol,
        direction=direction,
        profile=config.profile,
        entry=prices[0],
        stop=stop,
        distance=distance,
        rungs=rungs,
        take_profits=ladder,
        r_usd=r_usd,
        planned_loss_usd=sum(losses, ZERO),
        expected_fees_usd=sum((r.quantity * _fees_per_unit(r.price, fees) for r in rungs), ZERO),
        taker_fee=fees.taker,
        maker_fee=fees.maker,
        grain=_grain(instrument),
        refusal=_refusal(direction, rungs, stop, targets, instrument),
        config_hash=config.config_hash,
    )


def planned_loss_with(spec: PlanSpec, fees: FeeRates) -> Decimal:
    """What the plan as it stands would lose at its stop, were these the fees."""
    return sum((r.quantity * (abs(r.price - spec.stop) + _fees_per_unit(r.price, fees)) for r in spec.rungs), ZERO)


def _fees_per_unit(price: Decimal, fees: FeeRates) -> Decimal:
    """In and out as taker: the dearest way, so that the planned loss is an upper bound."""
    return price * (fees.taker + fees.taker)


def _sizes(
    prices: list[Decimal],
    stop: Decimal,
    config: StrategyConfig,
    instrument: Instrument,
    fees: FeeRates,
    r_usd: Decimal,
) -> list[Decimal]:
    """floor_step(w_j * Q) with Q such that everything filled and stopped costs at most `r_usd`, fees included."""
    ratio = decimal_from_float(config.rung_weight_x)
    weights = [ratio**j for j in range(len(prices))]
    unit_losses = [abs(price - stop) + _fees_per_unit(price, fees) for price in prices]
    per_unit = sum((w * loss for w, loss in zip(weights, unit_losses, strict=True)), ZERO)
    whole = r_usd / per_unit
    sizes = [instrument.quantity(min(weight * whole, instrument.max_limit_qty)) for weight in weights]
    # Decimal division keeps 28 digits: the last one may round up past r_usd; one step less is then enough.
    if sum((size * loss for size, loss in zip(sizes, unit_losses, strict=True)), ZERO) > r_usd:
        sizes[0] -= instrument.qty_step
    return sizes


def _refusal(
    direction: int, rungs: tuple[RungSpec, ...], stop: Decimal, targets: list[Decimal], instrument: Instrument
) -> Refusal | None:
    prices = [rung.price for rung in rungs]
    if stop <= 0:
        return Refusal.STOP_NOT_POSITIVE
    if min(targets) <= 0:
        return Refusal.TAKE_PROFIT_NOT_POSITIVE
    # Every level must keep its place: stop, deepest rung ... first rung; each exit beyond its entry.
    ladder = [stop, *reversed(prices)]
    gains = (
        [direction * (t - p) for t, p in zip(targets, prices, strict=True)]
        if len(rungs) > 1 or rungs[0].take_profit is not None
        else [direction * (b - a) for a, b in zip([prices[0], *targets], targets, strict=False)]
    )
    if min(direction * (b - a) for a, b in zip(ladder, ladder[1:], strict=False)) <= 0 or min(gains) <= 0:
        return Refusal.STEP_BELOW_TICK
    extremes = [stop, *prices, *targets, rungs[0].limit_price]
    if min(extremes) < instrument.min_price or max(extremes) > instrument.max_price:
        return Refusal.PRICE_OUT_OF_RANGE
    if any(instrument.is_below_minimum(rung.quantity, rung.price) for rung in rungs):
        return Refusal.BELOW_MINIMUM
    return None


def _grain(instrument: Instrument) -> Grain:
    return Grain(
        tick_size=instrument.tick_size,
        qty_step=instrument.qty_step,
        min_order_qty=instrument.min_order_qty,
        min_notional=instrument.min_notional,
        max_limit_qty=instrument.max_limit_qty,
        max_market_qty=instrument.max_market_qty,
    )


def _empty(
    symbol: str,
    direction: int,
    close: float,
    config: StrategyConfig,
    instrument: Instrument,
    fees: FeeRates,
    r_usd: Decimal,
) -> PlanSpec:
    entry = instrument.price(decimal_from_float(close), Rounding.NEAREST)
    return PlanSpec(
        symbol=symbol,
        direction=direction,
        profile=config.profile,
        entry=entry,
        stop=entry,
        distance=ZERO,
        rungs=(),
        take_profits=(),
        r_usd=r_usd,
        planned_loss_usd=ZERO,
        expected_fees_usd=ZERO,
        taker_fee=fees.taker,
        maker_fee=fees.maker,
        grain=_grain(instrument),
        refusal=Refusal.NO_DISTANCE,
        config_hash=config.config_hash,
    )
