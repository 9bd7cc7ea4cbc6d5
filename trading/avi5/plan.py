"""`next_actions`: what a plan needs now, from what it is. Level-triggered, so a crash loses nothing.

The orders that should exist are compared with those that do (intents and unknown orders count as existing). Calling
again after the answer was recorded yields nothing; calling after a crash yields exactly what is missing.
"""

from collections.abc import Sequence
from decimal import Decimal

from avigrid.kernel.orders import OrderRole, OrderStatus, OrderType, Side, TimeInForce
from trading.avi5.actions import (
    Action,
    Activate,
    BeginClose,
    CancelOrder,
    CloseReason,
    Finish,
    Notice,
    NotifyOnce,
    PlaceOrder,
    PlanStatus,
    StopEntries,
)
from trading.avi5.config import StrategyConfig
from trading.avi5.entries import EntryVerdict, entries_to_place, first_entry_verdict, has_future_entries
from trading.avi5.exits import exits_to_cancel, exits_to_place, refused_exits
from trading.avi5.protection import funding_alert_due, initial_stop, stop_moves
from trading.avi5.record import record
from trading.avi5.state import EventKind, MarketView, PlanEvent, PlanState

STUCK_AFTER = 5
"""Refused closes until people are told. Closing goes on all the same: whoever sends takes longer and longer pauses."""


def next_actions(
    plan: PlanState, events: Sequence[PlanEvent], market: MarketView, config: StrategyConfig
) -> list[Action]:
    """Actions in the order in which they should be recorded. `config` is the one the plan was made with."""
    if plan.status.is_final:
        return []
    kinds = frozenset(event.kind for event in events)
    reason = plan.close_reason
    actions: list[Action] = []
    if reason is None:
        actions += _funding_notice(plan, market, config)
        reason = _reason_to_close(plan, kinds, market, config)
        if reason is not None:
            actions.append(BeginClose(reason))
    if reason is not None:
        return actions + _wind_down(plan, reason)
    return actions + _carry_on(plan, kinds, market, config)


def _reason_to_close(
    plan: PlanState, kinds: frozenset[EventKind], market: MarketView, config: StrategyConfig
) -> CloseReason | None:
    if EventKind.KILL_SWITCH in kinds:
        return CloseReason.KILL_SWITCH
    if EventKind.OPERATOR_CLOSE in kinds:
        return CloseReason.OPERATOR
    if EventKind.STOP_TRIGGERED in kinds or plan.stop_filled_qty > 0:
        return CloseReason.STOP
    verdict = first_entry_verdict(plan, config)
    if verdict is EntryVerdict.REJECTED and not plan.entered_qty:
        return CloseReason.REJECTED
    if verdict in (EntryVerdict.UNDERFILL, EntryVerdict.REJECTED):
        return plan.entries_stopped_reason or CloseReason.UNDERFILL
    if market.now_ms - plan.opened_ms >= config.time_exit_ms:
        return CloseReason.TIME
    if config.auto_funding_exit and funding_alert_due(plan, market, config):
        return CloseReason.FUNDING
    return None


def _carry_on(plan: PlanState, kinds: frozenset[EventKind], market: MarketView, config: StrategyConfig) -> list[Action]:
    """Flags first, then orders as they follow from the flags, then whether that was all."""
    flags: list[Action] = []
    if plan.status is PlanStatus.PLACING:
        verdict = first_entry_verdict(plan, config, may_send=market.entries_allowed)
        flags += [Activate()] if verdict is EntryVerdict.FILLED else []
    flags += stop_moves(plan, kinds, market, config)
    why = None if plan.entries_stopped else _reason_to_stop_entries(plan, kinds, market, config)
    if why is not None:
        flags.append(StopEntries(why))
    plan = record(plan, flags)
    orders: list[Action] = []
    if not plan.may_enter:
        entries = plan.of(OrderRole.ENTRY)
        orders += [CancelOrder(order.ref) for order in entries if order.is_live and not order.cancel_requested]
    orders += [CancelOrder(order.ref) for order in exits_to_cancel(plan)]
    orders += entries_to_place(plan, market, config)
    orders += exits_to_place(plan, market, config)
    orders += [NotifyOnce(Notice.EXIT_REFUSED, key) for key in refused_exits(plan) if key not in plan.notified]
    if any(isinstance(action, PlaceOrder) for action in orders):
        return [*flags, *orders]
    return [*flags, *orders, *_ending(record(plan, orders), config)]


def _reason_to_stop_entries(
    plan: PlanState, kinds: frozenset[EventKind], market: MarketView, config: StrategyConfig
) -> CloseReason | None:
    if EventKind.CANCEL_ENTRIES in kinds:
        return CloseReason.CANCELLED
    if market.trend != -plan.spec.direction:
        return None
    # A rung that is held now would be armed again later: for a grid, entries end here even if none rests.
    if plan.spec.is_grid or plan.tally.is_entry_live or has_future_entries(plan, config):
        return CloseReason.TREND
    return None


def _ending(plan: PlanState, config: StrategyConfig) -> list[Action]:
    """Done: flat, nothing live, nothing wanted any more; or only dust is left, too small for an exit of its own."""
    if plan.tally.is_live or has_future_entries(plan, config):
        return []
    why = CloseReason.TAKE_PROFIT
    if not plan.of(OrderRole.TAKE_PROFIT):
        why = plan.entries_stopped_reason or CloseReason.CANCELLED
    position = plan.position_qty
    if position == 0:
        return [Finish(PlanStatus.CLOSED, why)]
    if position < plan.spec.grain.min_order_qty:
        return [BeginClose(why), _close_order(plan, position)]
    return []


def _wind_down(plan: PlanState, reason: CloseReason) -> list[Action]:
    """Withdraw what rests, flatten what is left, finish when flat and nothing of ours can fill any more."""
    actions: list[Action] = [
        CancelOrder(order.ref)
        for order in plan.orders
        if order.role is not OrderRole.CLOSE and order.is_live and not order.cancel_requested
    ]
    position = plan.position_qty
    if position == 0:
        if plan.tally.is_live:
            return actions
        return [*actions, Finish(_final_status(plan, reason), reason)]
    actions += initial_stop(plan)
    closes = plan.tally.closes
    if any(order.is_live for order in closes):
        return actions
    refused = sum(order.status is OrderStatus.REJECTED for order in closes)
    if refused >= STUCK_AFTER and Notice.CLOSE_STUCK.value not in plan.notified:
        actions.append(NotifyOnce(Notice.CLOSE_STUCK, Notice.CLOSE_STUCK.value))
    # A resting exit may still fill until its cancel is proven: only what it does not cover may be closed now.
    free = position - plan.tally.exits_open
    if free > 0:
        actions.append(_close_order(plan, min(free, plan.spec.grain.max_market_qty)))
    return actions


def _final_status(plan: PlanState, reason: CloseReason) -> PlanStatus:
    if reason is CloseReason.UNDERFILL:
        return PlanStatus.FAILED_UNDERFILL
    if reason is CloseReason.REJECTED:
        return PlanStatus.FAILED
    return PlanStatus.CLOSED


def _close_order(plan: PlanState, quantity: Decimal) -> PlaceOrder:
    return PlaceOrder(
        role=OrderRole.CLOSE,
        rung=0,
        cycle=0,
        attempt=len(plan.tally.closes),
        side=Side.from_direction(-plan.spec.direction),
        order_type=OrderType.MARKET,
        time_in_force=TimeInForce.IOC,
        quantity=quantity,
        price=None,
        reduce_only=True,
    )


def _funding_notice(plan: PlanState, market: MarketView, config: StrategyConfig) -> list[Action]:
    if not funding_alert_due(plan, market, config):
        return []
    key = f"{Notice.FUNDING.value}_{market.next_funding_ms}"
    return [] if key in plan.notified else [NotifyOnce(Notice.FUNDING, key)]
