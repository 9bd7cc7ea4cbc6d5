"""The stop of a plan: where it starts, when it moves to break-even, and that it never moves away."""

from decimal import Decimal

from avigrid.kernel.money import Rounding, to_multiple
from avigrid.kernel.orders import OrderRole
from trading.avi5.actions import Action, MoveStop, Notice, NotifyOnce, StopReason
from trading.avi5.config import BreakEvenMode, StrategyConfig, as_decimal
from trading.avi5.state import EventKind, MarketView, PlanState


def initial_stop(plan: PlanState) -> list[Action]:
    if plan.position_qty > 0 and plan.stop_price is None:
        return [MoveStop(plan.spec.stop, StopReason.INITIAL)]
    return []


def stop_moves(
    plan: PlanState, kinds: frozenset[EventKind], market: MarketView, config: StrategyConfig
) -> list[Action]:
    if plan.position_qty <= 0:
        return []
    actions = initial_stop(plan)
    asked = plan.be_requested or EventKind.OPERATOR_BREAK_EVEN in kinds
    if plan.be_done or not (asked or break_even_reached(plan, market, config)):
        return actions
    notice: list[Action] = []
    if Notice.BREAK_EVEN.value not in plan.notified:
        notice = [NotifyOnce(Notice.BREAK_EVEN, Notice.BREAK_EVEN.value)]
    if config.be_mode is BreakEvenMode.VISUAL and not asked:
        return actions + notice
    target = break_even_price(plan)
    direction = plan.spec.direction
    standing = plan.spec.stop if plan.stop_price is None else plan.stop_price
    is_possible = market.price is not None and target is not None and direction * (market.price - target) > 0
    if target is not None and is_possible and direction * (target - standing) > 0:
        return [MoveStop(target, StopReason.BREAK_EVEN), *notice]
    return actions


def break_even_reached(plan: PlanState, market: MarketView, config: StrategyConfig) -> bool:
    """A swing's take-profit has filled, or the price has moved `be_trigger_r` times the planned stop distance."""
    spec = plan.spec
    if spec.take_profits and any(o.filled_qty >= o.quantity for o in plan.of(OrderRole.TAKE_PROFIT)):
        return True
    if market.price is None:
        return False
    reach = as_decimal(config.be_trigger_r) * abs(spec.entry - spec.stop)
    return spec.direction * (market.price - spec.entry) >= reach


def break_even_price(plan: PlanState) -> Decimal | None:
    """Average entry plus what getting in and out as taker costs, on tick, rounded to the safe side."""
    average = plan.holding_average
    if average is None:
        return None
    direction = plan.spec.direction
    level = average * (1 + direction * (plan.spec.taker_fee + plan.spec.taker_fee))
    return to_multiple(level, plan.spec.grain.tick_size, Rounding.UP if direction > 0 else Rounding.DOWN)


def break_even_from(plan: PlanState, config: StrategyConfig) -> float:
    """In direction-signed price: below it no close can move the stop to break-even; infinite where none ever does."""
    if plan.be_done or config.be_mode is BreakEvenMode.VISUAL:
        return float("inf")
    spec = plan.spec
    if spec.take_profits and any(o.filled_qty >= o.quantity for o in plan.of(OrderRole.TAKE_PROFIT)):
        target = break_even_price(plan)
        if target is not None:
            return float(spec.direction * target)
    return float(spec.direction * spec.entry + as_decimal(config.be_trigger_r) * abs(spec.entry - spec.stop))


def funding_alert_due(plan: PlanState, market: MarketView, config: StrategyConfig) -> bool:
    """Funding is near and the position does not earn enough to sit through it."""
    due_ms = market.next_funding_ms
    if due_ms is None or not 0 <= due_ms - market.now_ms < config.funding_exit_ms or plan.position_qty <= 0:
        return False
    gain_r = unrealised_r(plan, market.price)
    return gain_r is not None and gain_r < as_decimal(config.funding_exit_below_r)


def unrealised_r(plan: PlanState, price: Decimal | None) -> Decimal | None:
    """Open profit in R, before fees; None without a price or a position."""
    average = plan.holding_average
    if price is None or average is None or plan.position_qty <= 0:
        return None
    return plan.spec.direction * (price - average) * plan.position_qty / plan.spec.r_usd
