"""Which entries a plan still wants: the first order and its retries, resting rungs, re-armed rungs."""

from collections.abc import Iterator
from decimal import Decimal
from enum import StrEnum

from avigrid.kernel.money import ZERO
from avigrid.kernel.orders import OrderRole, OrderStatus, OrderType, TimeInForce
from trading.avi5.actions import Action, PlaceOrder
from trading.avi5.config import PartialPolicy, StrategyConfig, as_decimal
from trading.avi5.spec import RungSpec
from trading.avi5.state import MarketView, PlanState
from trading.avi5.tally import Step

MAX_ATTEMPTS_PER_RUNG = 3
"""A post-only order that would have taken is refused by the venue; a rung is offered this often per cycle."""


class EntryVerdict(StrEnum):
    """What became of the first order (rung 0, cycle 0)."""

    WANTED = "wanted"
    WAITING = "waiting"
    RETRY = "retry"
    FILLED = "filled"
    UNDERFILL = "underfill"
    REJECTED = "rejected"


def first_entry_verdict(plan: PlanState, config: StrategyConfig, *, may_send: bool = True) -> EntryVerdict:
    """`may_send` False: entries are held back, and exits must not wait for a retry that nobody knows the time of."""
    step = plan.tally.step(0, 0)
    attempts = step.entries
    if not attempts:
        return EntryVerdict.WANTED
    if step.is_entry_live:
        return EntryVerdict.WAITING
    planned = plan.spec.rungs[0].quantity
    got = step.entered
    if got <= 0:
        refused = all(order.status is OrderStatus.REJECTED for order in attempts)
        return EntryVerdict.REJECTED if refused else EntryVerdict.UNDERFILL
    if got >= planned or got >= planned * as_decimal(config.full_fill_ratio):
        return EntryVerdict.FILLED
    if got < planned * as_decimal(config.min_fill_ratio):
        return EntryVerdict.UNDERFILL
    if config.partial_policy is PartialPolicy.RETRY and may_send and plan.may_enter and not _has_exits(plan):
        is_left = len(attempts) <= config.partial_retries
        if is_left and _is_accepted(plan, planned - got, plan.spec.rungs[0].limit_price):
            return EntryVerdict.RETRY
    return EntryVerdict.FILLED


def _has_exits(plan: PlanState) -> bool:
    """Once the first fill's exits are out it is what it is: a later retry would tear them apart."""
    if plan.spec.is_grid:
        return plan.tally.step(0, 0).exit_count > 0
    return any(step.exit_count for step in plan.tally.steps.values())


def _is_accepted(plan: PlanState, quantity: Decimal, price: Decimal) -> bool:
    """Would the venue take an order so small?"""
    grain = plan.spec.grain
    return quantity > ZERO and quantity >= grain.min_order_qty and quantity * price >= grain.min_notional


def entries_to_place(plan: PlanState, market: MarketView, config: StrategyConfig) -> list[Action]:
    """Nothing while entries are held back; post-only rungs only while the price is on their resting side."""
    if not market.entries_allowed:
        return []
    orders: list[Action] = []
    for rung, wanted in _all_wanted(plan, config):
        rests = wanted.time_in_force is TimeInForce.POST_ONLY
        is_first_offer = wanted.cycle == 0 and wanted.attempt == 0
        if rests and not is_first_offer and _would_take(plan, rung, market):
            continue
        orders.append(wanted)
    return orders


def _would_take(plan: PlanState, rung: RungSpec, market: MarketView) -> bool:
    return market.price is not None and plan.spec.direction * (market.price - rung.price) <= 0


def has_future_entries(plan: PlanState, config: StrategyConfig) -> bool:
    """Would any entry be placed, were the market willing?"""
    return next(_all_wanted(plan, config), None) is not None


def _all_wanted(plan: PlanState, config: StrategyConfig) -> Iterator[tuple[RungSpec, PlaceOrder]]:
    """Replays ask very often, and nearly always every rung rests or is on offer again: that is seen first."""
    if not plan.may_enter:
        return
    sums = plan.tally
    for rung in plan.spec.rungs:
        cycle = sums.last_cycle.get(rung.rung)
        if cycle is None:
            wanted = _entry(plan, rung, cycle=0, attempt=0, quantity=rung.quantity)
        else:
            step = sums.steps[rung.rung, cycle]
            if step.is_entry_live or step.is_exit_live:
                continue
            wanted = _next_of(plan, rung, cycle, step, config)
        if wanted is not None:
            yield rung, wanted


def _next_of(plan: PlanState, rung: RungSpec, cycle: int, step: Step, config: StrategyConfig) -> PlaceOrder | None:
    """The next entry of a rung of which nothing is live; None: it holds what it bought, or its cycles are used up."""
    got = step.entered
    if rung.rung == 0 and cycle == 0:
        verdict = first_entry_verdict(plan, config)
        if verdict is EntryVerdict.RETRY:
            return _entry(plan, rung, cycle=0, attempt=len(step.entries), quantity=rung.quantity - got)
        if verdict is not EntryVerdict.FILLED:
            return None
    if rung.take_profit is not None and got > 0 and step.exited >= got:
        if cycle >= config.max_cycles:
            return None
        return _entry(plan, rung, cycle=cycle + 1, attempt=0, quantity=rung.quantity)
    if (rung.rung == 0 and cycle == 0) or step.exit_count or len(step.entries) >= MAX_ATTEMPTS_PER_RUNG:
        return None
    return _entry(plan, rung, cycle=cycle, attempt=len(step.entries), quantity=rung.quantity - got)


def _entry(plan: PlanState, rung: RungSpec, *, cycle: int, attempt: int, quantity: Decimal) -> PlaceOrder | None:
    rests = rung.is_post_only or cycle > 0
    price = rung.price if rests else rung.limit_price
    if not _is_accepted(plan, quantity, price):
        return None
    return PlaceOrder(
        role=OrderRole.ENTRY,
        rung=rung.rung,
        cycle=cycle,
        attempt=attempt,
        side=plan.spec.side,
        order_type=OrderType.LIMIT,
        time_in_force=TimeInForce.POST_ONLY if rests else TimeInForce.IOC,
        quantity=quantity,
        price=price,
        reduce_only=False,
    )
