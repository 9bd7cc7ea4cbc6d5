"""Which take-profits a plan needs for what it has bought: the swing's ladder, or one per rung and cycle of a grid."""

from dataclasses import dataclass
from decimal import Decimal

from avigrid.kernel.money import ZERO, floor_to_step
from avigrid.kernel.orders import OrderRole, OrderType, Side, TimeInForce
from trading.avi5.actions import Action, Notice, PlaceOrder
from trading.avi5.config import StrategyConfig
from trading.avi5.entries import EntryVerdict, first_entry_verdict
from trading.avi5.spec import split_exits
from trading.avi5.state import PlanOrder, PlanState, filled, still_open

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


def exits_to_place(plan: PlanState, config: StrategyConfig) -> list[Action]:
    """Together never more than the position: what rests already is subtracted first."""
    free = plan.position_qty - still_open(plan.of(OrderRole.TAKE_PROFIT)) - still_open(plan.of(OrderRole.CLOSE))
    grain = plan.spec.grain
    orders: list[Action] = []
    for wanted in _wanted_exits(plan, config):
        existing = plan.of(OrderRole.TAKE_PROFIT, wanted.rung, wanted.cycle)
        if _failed(existing) >= MAX_FAILED_ATTEMPTS:
            continue
        missing = wanted.quantity - filled(existing) - still_open(existing)
        quantity = floor_to_step(min(missing, free), grain.qty_step)
        if quantity < grain.min_order_qty or quantity <= 0:
            continue
        remainder = wanted.planned - filled(existing) - still_open(existing) - quantity
        if not wanted.is_settled and not _worth_it(quantity, remainder, wanted.planned, grain.min_order_qty):
            continue
        free -= quantity
        orders.append(
            PlaceOrder(
                role=OrderRole.TAKE_PROFIT,
                rung=wanted.rung,
                cycle=wanted.cycle,
                attempt=len(existing),
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
    resting = [o for o in plan.of(OrderRole.TAKE_PROFIT) if o.is_live and not o.cancel_requested]
    excess = still_open(resting) - plan.position_qty
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
    steps = dict.fromkeys((o.rung, o.cycle) for o in plan.of(OrderRole.TAKE_PROFIT))
    return [
        f"{Notice.EXIT_REFUSED.value}_{rung}_{cycle}"
        for rung, cycle in steps
        if _failed(plan.of(OrderRole.TAKE_PROFIT, rung, cycle)) >= MAX_FAILED_ATTEMPTS
    ]


def _wanted_exits(plan: PlanState, config: StrategyConfig) -> list[_Exit]:
    is_first_settled = first_entry_verdict(plan, config) is EntryVerdict.FILLED
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
    for rung in plan.spec.rungs:
        entries = plan.of(OrderRole.ENTRY, rung.rung)
        for cycle in sorted({order.cycle for order in entries}):
            behind = [order for order in entries if order.cycle == cycle]
            if rung.take_profit is None or (rung.rung == 0 and cycle == 0 and not is_first_settled):
                continue
            settled = not any(order.is_live for order in behind)
            wanted.append(_Exit(rung.rung, cycle, rung.take_profit, filled(behind), rung.quantity, settled))
    return wanted


def _failed(orders: list[PlanOrder]) -> int:
    return sum(not order.is_live and order.filled_qty < order.quantity for order in orders)


def _worth_it(quantity: Decimal, remainder: Decimal, planned: Decimal, minimum: Decimal) -> bool:
    """While the entry may still fill: not a crumb, and nothing left over that could not have an exit of its own."""
    return quantity >= planned * _INCREMENT_SHARE and (remainder <= ZERO or remainder >= minimum)
