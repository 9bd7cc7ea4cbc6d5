"""What a rehearsal may expect: names -> values as short texts, from the books and, where it says so, from the venue.

Orders read `entry 1.0 Buy 4.2 @ 149.75` (role, rung.cycle, side, what rests, price; `+1` after the cycle is a second
try), fills `take_profit 0.0 Sell 11.5 @ 152` (summed per order, at its average price).
"""

from collections import Counter
from collections.abc import Callable
from decimal import Decimal

from django.db.models import Sum

from avigrid.kernel.money import ZERO, plain
from avigrid.kernel.orders import OrderRole
from trading.models import LIVE_STATUSES, Fill, LedgerEntry, LedgerKind, Order, OutboxEvent, Plan, Position
from trading.runtime.rehearsal.stage import Playhouse
from trading.services.plan_state import stop_wanted


def value(house: Playhouse, name: str) -> object:
    """LookupError where the name means nothing."""
    head, _, rest = name.partition(".")
    if head == "told":
        return OutboxEvent.objects.filter(kind=rest, payload__plan_id=_plan(house).pk).count()
    if head not in VIEWS or rest:
        raise LookupError(f"{name!r} is no view; there are {', '.join((*VIEWS, 'told.KIND'))}")
    return VIEWS[head](house)


def same(found: object, wanted: object) -> bool:
    """Numbers by value, lists in order, everything else as text."""
    if isinstance(wanted, list):
        return isinstance(found, list) and found == [str(item) for item in wanted]
    if wanted is None or found is None or isinstance(wanted, bool):
        return wanted is found
    if isinstance(found, Decimal | int):
        return Decimal(str(wanted)) == found
    return str(found) == str(wanted)


def order_name(order: Order) -> str:
    if order.role == OrderRole.CLOSE:
        return "close"  # as many as the proven cancels of exits allow; how many is nobody's matter
    again = f"+{order.attempt}" if order.attempt else ""
    return f"{order.role} {order.rung}.{order.cycle}{again}"


def _plan(house: Playhouse) -> Plan:
    plan = house.plan()
    if plan is None:
        raise LookupError("no plan was placed")
    return plan


def _status(house: Playhouse) -> str:
    plan = _plan(house)
    return f"{plan.status} {plan.close_reason}".strip()


def _stop(house: Playhouse) -> Decimal | None:
    return stop_wanted(_plan(house))


def _venue_stop(house: Playhouse) -> Decimal | None:
    held = house.client.gateway.positions()
    return held[0].stop_loss if held else None


def _position(house: Playhouse) -> Decimal:
    return sum((row.signed_size for row in house.client.gateway.positions()), ZERO)


def _orders(house: Playhouse) -> list[str]:
    """What rests, as the venue shows it, in the order it was placed; the position's own stop is `stop`'s matter."""
    ours = {order.order_link_id: order for order in Order.objects.filter(account_id=house.account_id)}
    rows = [row for row in house.client.gateway.open_orders() if row.order_link_id in ours]
    rows.sort(key=lambda row: ours[row.order_link_id].pk)
    return [
        f"{order_name(ours[row.order_link_id])} {row.side.value} {plain(row.quantity - row.filled_qty)}"
        f" @ {plain(row.price or ZERO)}"
        for row in rows
    ]


def _fills(house: Playhouse) -> list[str]:
    sums: dict[str, tuple[str, Decimal, Decimal]] = {}
    for fill in Fill.objects.filter(account_id=house.account_id).select_related("order").order_by("executed_at", "id"):
        name = order_name(fill.order) if fill.order is not None else "stop"
        _, quantity, worth = sums.get(name, ("", ZERO, ZERO))
        sums[name] = (fill.side, quantity + fill.quantity, worth + fill.quantity * fill.price)
    return [f"{name} {side} {plain(qty)} @ {plain(round(worth / qty, 4))}" for name, (side, qty, worth) in sums.items()]


def _tries(house: Playhouse) -> int:
    """How often the first entry was sent."""
    return _plan(house).orders.filter(role=OrderRole.ENTRY.value, rung=0, cycle=0).exclude(submitted_at=None).count()


def _result(house: Playhouse) -> Decimal:
    """Net: trades less fees, with funding."""
    plan = _plan(house)
    return plan.realised_pnl_usd - plan.fees_usd + plan.funding_usd


def _ledger(house: Playhouse) -> Decimal:
    rows = LedgerEntry.objects.filter(account_id=house.account_id).exclude(kind=LedgerKind.TRANSFER)
    return rows.aggregate(total=Sum("change_usd"))["total"] or ZERO


def _wallet(house: Playhouse) -> Decimal:
    """What the venue's wallet has gained since the start, to the hundredth of a cent."""
    return round(house.client.gateway.wallet().wallet_balance_usd - house.rehearsal.balance_usdt, 4)


VIEWS: dict[str, Callable[[Playhouse], object]] = {
    "plan": _status,
    "stop": _stop,
    "venue_stop": _venue_stop,
    "position": _position,
    "orders": _orders,
    "fills": _fills,
    "tries": _tries,
    "result": _result,
    "fees": lambda house: _plan(house).fees_usd,
    "funding": lambda house: _plan(house).funding_usd,
    "ledger": _ledger,
    "wallet": _wallet,
    "planned_loss": lambda house: Decimal(str(_plan(house).spec["planned_loss_usd"])),
    "break_even": lambda house: _plan(house).break_even_at is not None,
}


def promises(house: Playhouse) -> list[str]:
    """What must hold whenever everything has come to rest, whatever the file expects; broken ones are named."""
    broken = []
    protection = house.execution.protection
    if protection.unprotected_qty or protection.unprotected_qty_max:
        broken.append(f"unprotected quantity {protection.unprotected_qty}, at most {protection.unprotected_qty_max}")
    held = {(row.symbol, row.position_idx): row for row in house.client.gateway.positions()}
    booked = {
        (row.symbol, row.position_idx): row.size
        for row in Position.objects.filter(account_id=house.account_id).exclude(size=0)
    }
    if booked != {key: row.signed_size for key, row in held.items()}:
        broken.append(f"the books hold {booked}, the venue {sorted(held)}")
    plan = house.plan()
    for row in held.values():
        if plan is not None and row.stop_loss != stop_wanted(plan):
            broken.append(f"the venue's stop is {row.stop_loss}, wanted is {stop_wanted(plan)}")
    ours = set(
        Order.objects.filter(account_id=house.account_id, status__in=LIVE_STATUSES)
        .exclude(status="intent")
        .values_list("order_link_id", flat=True)
    )
    theirs = [row for row in house.client.gateway.open_orders() if row.order_link_id]
    if ours != {row.order_link_id for row in theirs}:
        broken.append(f"orders of ours {sorted(ours)}, of the venue {sorted(row.order_link_id for row in theirs)}")
    exits = sum((row.quantity - row.filled_qty for row in theirs if row.reduce_only), ZERO)
    if exits > sum((row.size for row in held.values()), ZERO):
        broken.append(f"exits of {exits} for a position of {sum((row.size for row in held.values()), ZERO)}")
    broken += _unbooked(house)
    return broken


def _unbooked(house: Playhouse) -> list[str]:
    truth = Counter(row["execId"] for row in house.exchange.truth()["executions"] if row["execType"] != "Funding")
    books = Counter(Fill.objects.filter(account_id=house.account_id).values_list("exec_id", flat=True))
    return [] if truth == books else [f"executions: {len(books)} booked, {len(truth)} at the venue"]
