"""Our books in the words of the comparison: live orders, positions, what the plans want."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from avigrid.kernel.orders import OrderStatus
from trading.engine.differences import BookedOrder, BookedPosition
from trading.models import LIVE_STATUSES, OPEN_PLAN_STATUSES, Order, Plan, Position


def live_orders(account_id: int, now: datetime) -> list[BookedOrder]:
    rows = Order.objects.filter(account_id=account_id, status__in=LIVE_STATUSES)
    return [_order(row, now) for row in rows.select_related("plan")]


def done_orders(account_id: int, links: Iterable[str], now: datetime) -> dict[str, BookedOrder]:
    """Terminal ones among these order link ids."""
    rows = Order.objects.filter(account_id=account_id, order_link_id__in=list(links)).exclude(status__in=LIVE_STATUSES)
    return {row.order_link_id: _order(row, now) for row in rows.select_related("plan")}


def booked_positions(account_id: int) -> list[BookedPosition]:
    plans = {
        (plan.symbol, plan.position_idx): plan
        for plan in Plan.objects.filter(account_id=account_id, status__in=OPEN_PLAN_STATUSES)
    }
    found = []
    for row in Position.objects.filter(account_id=account_id):
        plan = plans.get((row.symbol, row.position_idx))
        found.append(
            BookedPosition(
                symbol=row.symbol,
                position_idx=row.position_idx,
                size=row.size,
                plan_id=plan.pk if plan else None,
                stop_price=plan.stop_price if plan else None,
                fill_count=row.fill_count,
            )
        )
    return found


def busy_positions(account_id: int) -> frozenset[tuple[str, int]]:
    """Where a plan is open or an order live: what appears there may be its first fill."""
    plans = Plan.objects.filter(account_id=account_id, status__in=OPEN_PLAN_STATUSES)
    orders = Order.objects.filter(account_id=account_id, status__in=LIVE_STATUSES)
    keys = ("symbol", "position_idx")
    return frozenset(plans.values_list(*keys)) | frozenset(orders.values_list(*keys))


def fill_counts(account_id: int) -> dict[str, int]:
    """How many fills each position has been told of, by "symbol/index"."""
    rows = Position.objects.filter(account_id=account_id).values_list("symbol", "position_idx", "fill_count")
    return {f"{symbol}/{position_idx}": count for symbol, position_idx, count in rows}


def _order(row: Order, now: datetime) -> BookedOrder:
    age = now - row.submitted_at if row.submitted_at else timedelta(0)
    return BookedOrder(
        order_link_id=row.order_link_id,
        venue_order_id=row.venue_order_id,
        symbol=row.symbol,
        position_idx=row.position_idx,
        status=OrderStatus(row.status),
        quantity=row.quantity,
        filled_qty=row.filled_qty,
        reduce_only=row.reduce_only,
        sent_age_ms=int(age.total_seconds() * 1000),
        plan_is_open=row.plan.is_open,
        venue_updated_ms=row.venue_updated_ms,
    )
