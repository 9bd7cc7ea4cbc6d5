"""Which take-profits a plan needs for what it has bought: the swing's ladder, or one per rung and cycle of a grid."""

from dataclasses import dataclass
from decimal import Decimal

from avigrid.kernel.money import ZERO, floor_to_step
from avigrid.kernel.orders import OrderRole, OrderType, Side, TimeInForce
from trading.avi5.actions import Action, Notice, PlaceOrder
from trading.avi5.config import StrategyConfig
from trading.avi5.entries import EntryVerdict, first_entry_verdict
from trading.avi5.spec import split_exits
from trading.avi5.state import MarketView, PlanOrder, PlanState

MAX_FAILED_ATTEMPTS = 3
_INCREMENT_SHARE = Decimal("0.1")
"""A rung that fills in crumbs gets another exit for each tenth of its size, not for each crumb."""


@dataclass(frozen=True, slots=True)
class _Exit:
    rung: int
    cycle: int
    price: Decimal
    quantity: Decimal
    """All that should be exited under this name, filled and resting together."""
    planned: Decimal
    is_settled: bool
    """No entry behind it can still fill."""


def exits_to_place(plan: PlanState, market: MarketView, config: StrategyConfig) -> list[Action]:
    """Together never more than the position: what rests already is subtracted first."""
    sums = plan.tally
    free = plan.position_qty - sums.exits_open - sums.closes_open
    grain = plan.spec.grain
    if free <= 0 or free < grain.min_order_qty:
        return []
    orders: list[Action] = []
    for wanted in _wanted_exits(plan, market, config):
        step = sums.step(wanted.rung, wanted.cycle)
        missing = wanted.quantity - step.exited - step.exits_open
        if missing <= 0 or step.failed_exits >= MAX_FAILED_ATTEMPTS:
            continue
        quantity = floor_to_step(min(missing, free), grain.qty_step)
        if quantity < grain.min_order_qty or quantity <= 0:
            continue
        remainder = wanted.planned - step.exited - step.exits_open - quantity
        if not wanted.is_settled and not _worth_it(quantity, remainder, wanted.planned, grain.min_order_qty):
            continue
        free -= quantity
        orders.append(
            PlaceOrder(
                role=OrderRole.TAKE_PROFIT,
                rung=wanted.rung,
                cycle=wanted.cycle,
                attempt=step.exit_count,
                side=Side.from_direction(-plan.spec.direction),
                order_type=OrderType.LIMIT,
                time_in_force=TimeInForce.GTC,
                quantity=quantity,
                price=wanted.price,
                reduce_only=True,
            )
        )
    return orders


def exits_to_cancel(plan: PlanState) -> list[PlanOrder]:
    """Resting exits beyond the position (something else has closed a part), the furthest first."""
    if plan.tally.exits_open <= plan.position_qty:
        return []
    resting = [o for o in plan.of(OrderRole.TAKE_PROFIT) if o.is_live and not o.cancel_requested]
    excess = sum((order.open_qty for order in resting), ZERO) - plan.position_qty
    unneeded: list[PlanOrder] = []
    for order in sorted(resting, key=lambda o: (o.rung, o.cycle, o.attempt), reverse=True):
        if excess <= 0:
            break
        unneeded.append(order)
        excess -= order.open_qty
    return unneeded


def refused_exits(plan: PlanState) -> list[str]:
    """Keys of exits that failed too often to be tried again; the stop and the time exit still stand."""
    if plan.position_qty <= 0:
        return []
    return [
        f"{Notice.EXIT_REFUSED.value}_{rung}_{cycle}"
        for (rung, cycle), step in plan.tally.steps.items()
        if step.failed_exits >= MAX_FAILED_ATTEMPTS
    ]


def _wanted_exits(plan: PlanState, market: MarketView, config: StrategyConfig) -> list[_Exit]:
    verdict = first_entry_verdict(plan, config, may_send=market.entries_allowed)
    is_first_settled = verdict is EntryVerdict.FILLED
    if plan.spec.take_profits:
        if not is_first_settled:
            return []
        shares = tuple(tp.share for tp in plan.spec.take_profits)
        parts = split_exits(plan.entered_qty, shares, plan.spec.grain)
        return [
            _Exit(index, 0, tp.price, part, part, is_settled=True)
            for index, (tp, part) in enumerate(zip(plan.spec.take_profits, parts, strict=True))
        ]
    wanted = []
    for (index, cycle), step in plan.tally.steps.items():
        rung = plan.spec.rungs[index]
        if rung.take_profit is None or (index == 0 == cycle and not is_first_settled):
            continue
        if step.entered <= step.exited + step.exits_open:  # nothing bought, or all of it sold or on offer
            continue
        settled = not step.is_entry_live
        wanted.append(_Exit(index, cycle, rung.take_profit, step.entered, rung.quantity, settled))
    return wanted


def _worth_it(quantity: Decimal, remainder: Decimal, planned: Decimal, minimum: Decimal) -> bool:
    """While the entry may still fill: not a crumb, and nothing left over that could not have an exit of its own."""
    return quantity >= planned * _INCREMENT_SHARE and (remainder <= ZERO or remainder >= minimum)
