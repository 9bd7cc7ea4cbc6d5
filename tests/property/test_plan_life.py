"""Random lives of plans: whatever fills, fails, hangs or is asked for, the invariants hold and the plan ends flat."""

from dataclasses import replace
from decimal import ROUND_DOWN, Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from avigrid.kernel.orders import OrderRole, OrderStatus
from tests.unit.trading.avi5.builders import Bench, instrument, spec, view
from trading.avi5.actions import MoveStop, PlaceOrder, PlanStatus
from trading.avi5.config import BreakEvenMode, PartialPolicy, Profile, StrategyConfig
from trading.avi5.exits import MAX_FAILED_ATTEMPTS
from trading.avi5.state import EventKind, PlanEvent

D = Decimal
FATES = ("ack", "fill", "part", "cancel", "reject", "unknown", "nothing", "stop", "crash")


@st.composite
def lives(draw: st.DrawFn) -> tuple[StrategyConfig, int, list[tuple[str, int, int, str]]]:
    config = StrategyConfig(
        profile=draw(st.sampled_from(list(Profile))),
        partial_policy=draw(st.sampled_from(list(PartialPolicy))),
        be_mode=draw(st.sampled_from(list(BreakEvenMode))),
        max_cycles=draw(st.integers(0, 3)),
        rungs=draw(st.integers(1, 6)),
        auto_funding_exit=draw(st.booleans()),
    )
    steps = st.tuples(
        st.sampled_from(FATES),
        st.integers(0, 30),
        st.integers(1, 99),
        st.sampled_from(["", "", "", "", "up", "down", "against", "close", "be", "cancel", "kill", "funding", "held"]),
    )
    return config, draw(st.sampled_from([1, -1])), draw(st.lists(steps, min_size=1, max_size=40))


def _apply_fate(bench: Bench, fate: str, pick: int, percent: int) -> None:
    live = [order for order in bench.plan.orders if order.is_live]
    if fate == "stop":
        if bench.plan.position_qty > 0:
            size = bench.plan.position_qty if percent > 30 else bench.plan.position_qty / 2
            bench.plan = replace(bench.plan, stop_filled_qty=bench.plan.stop_filled_qty + size)
        return
    if not live or fate in ("nothing", "crash"):
        return
    order = live[pick % len(live)]
    left = order.quantity - order.filled_qty
    if order.role is not OrderRole.ENTRY:
        # Reduce-only: the venue never fills more than is held.
        left = min(left, bench.plan.position_qty)
    if fate == "fill" and left > 0:
        bench.fill(order.ref, str(left))
        if bench.order(order.ref).is_live:
            bench.end(order.ref)
    elif fate == "part" and left > D("0.002"):
        bench.fill(order.ref, str((left * percent / 100).quantize(D("0.001"))) if left * percent >= 1 else "0.001")
    elif fate == "cancel" or (fate == "fill" and left <= 0):
        bench.end(order.ref)
    elif fate == "reject" and order.filled_qty == 0:
        bench.end(order.ref, OrderStatus.REJECTED)
    elif fate == "unknown":
        bench.change(order.ref, status=OrderStatus.UNKNOWN)
    elif fate == "ack" and order.status is OrderStatus.INTENT:
        bench.change(order.ref, status=OrderStatus.OPEN)


def _check(bench: Bench, stop_before: Decimal | None, live_before: set[str], actions: list[object]) -> None:
    plan = bench.plan
    exits = sum(o.open_qty for o in plan.orders if o.role is not OrderRole.ENTRY)
    placed_exits = [a for a in actions if isinstance(a, PlaceOrder) and a.reduce_only]
    if placed_exits:
        assert exits <= plan.position_qty, "exits exceed the position"
    assert len(bench.live(OrderRole.CLOSE)) <= 1, "two closing orders in flight"
    refs = [order.ref for order in plan.orders]
    assert len(refs) == len(set(refs)), "one step placed twice"
    grain = plan.spec.grain
    for action in actions:
        if isinstance(action, PlaceOrder):
            assert action.quantity > 0
            assert action.quantity % grain.qty_step == 0
            assert action.price is None or action.price % grain.tick_size == 0
            assert (action.side.sign == plan.spec.direction) != action.reduce_only
        if isinstance(action, MoveStop) and stop_before is not None:
            assert plan.spec.direction * (action.price - stop_before) > 0, "a stop was widened"
    if plan.position_qty > 0:
        assert plan.stop_price is not None, "a filled unit without a stop"
    for rung in plan.spec.rungs:
        cycles = {order.cycle for order in plan.of(OrderRole.ENTRY, rung.rung)}
        assert max(cycles, default=0) <= bench.config.max_cycles
        for cycle in cycles:
            orders = plan.of(OrderRole.ENTRY, rung.rung, cycle)
            assert sum(o.filled_qty + o.open_qty for o in orders) <= rung.quantity, "a rung bought twice"
    is_carrying_on = plan.close_reason is None and not plan.status.is_final
    if is_carrying_on and plan.position_qty >= grain.min_order_qty and not plan.tally.is_entry_live:
        given_up = any(step.failed_exits >= MAX_FAILED_ATTEMPTS for step in plan.tally.steps.values())
        assert plan.tally.exits_open > 0 or given_up, "held, nothing on its way in, and no exit"
    if plan.status.is_final:
        assert plan.position_qty == 0
        assert not any(order.is_live for order in plan.orders)


def _market(wish: str, direction: int, now_ms: int) -> object:
    price = {"up": 1000 + direction * 200, "down": 1000 - direction * 60}.get(wish, 1000)
    trend = -direction if wish == "against" else direction
    funding = now_ms + 60_000 if wish == "funding" else None
    return view(str(price), now_ms=now_ms, trend=trend, next_funding_ms=funding, entries_allowed=wish != "held")


EVENTS = {
    "close": EventKind.OPERATOR_CLOSE,
    "be": EventKind.OPERATOR_BREAK_EVEN,
    "cancel": EventKind.CANCEL_ENTRIES,
    "kill": EventKind.KILL_SWITCH,
}


@settings(max_examples=200, deadline=None)
@given(lives(), st.sampled_from(["5", "300"]))
def test_any_life_keeps_the_invariants_and_ends_flat(
    life: tuple[StrategyConfig, int, list[tuple[str, int, int, str]]], min_notional: str
) -> None:
    config, direction, steps = life
    bench = Bench(spec(direction, config=config, filters=instrument(min_notional=min_notional)), config)
    now_ms = 0
    for fate, pick, percent, wish in steps:
        now_ms += 300_000
        stop_before = bench.plan.stop_price
        live_before = {o.ref for o in bench.plan.orders if o.is_live}
        events = [PlanEvent(EVENTS[wish])] if wish in EVENTS else []
        actions = bench.step(_market(wish, direction, now_ms), *events)  # type: ignore[arg-type]
        _check(bench, stop_before, live_before, list(actions))
        if bench.plan.status.is_final:
            return
        _apply_fate(bench, fate, pick, percent)
    # The world calms down: a day passes, cancels succeed, market orders fill.
    for _ in range(200):
        now_ms += 86_400_000
        stop_before = bench.plan.stop_price
        actions = bench.step(view("1000", now_ms=now_ms))
        _check(bench, stop_before, set(), list(actions))
        if bench.plan.status.is_final:
            break
        for order in [o for o in bench.plan.orders if o.is_live]:
            if order.role is OrderRole.CLOSE and bench.plan.position_qty > 0:
                bench.fill(order.ref, str(min(order.quantity, bench.plan.position_qty)))
            if bench.order(order.ref).is_live:
                bench.end(order.ref)
    assert bench.plan.status.is_final, bench.plan
    assert bench.plan.position_qty == 0


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(list(Profile)),
    st.sampled_from(["5", "150", "600"]),
    st.sampled_from(["0.001", "0.05", "0.4"]),
    st.lists(st.tuples(st.integers(1, 100), st.booleans()), min_size=1, max_size=5),
)
def test_what_a_first_order_bought_in_parts_has_its_exits(
    profile: Profile, min_notional: str, min_qty: str, tries: list[tuple[int, bool]]
) -> None:
    """Retries of any size, allowed or held back: whenever none is at the venue, the exits cover the position."""
    config = StrategyConfig(profile=profile, rungs=1, partial_policy=PartialPolicy.RETRY)
    filters = instrument(min_notional=min_notional, min_qty=min_qty)
    bench = Bench(spec(config=config, filters=filters), config)
    bench.step(view())
    for percent, is_allowed in tries:
        for order in [o for o in bench.plan.of(OrderRole.ENTRY) if o.is_live]:
            part = (order.quantity * percent / 100).quantize(D("0.001"), ROUND_DOWN)
            if part:
                bench.fill(order.ref, str(part))
            if bench.order(order.ref).is_live:
                bench.end(order.ref)
        bench.step(view(entries_allowed=is_allowed))
        if bench.plan.close_reason is not None:
            return
        if not bench.plan.tally.is_entry_live:
            assert bench.plan.tally.exits_open == bench.plan.position_qty > 0


@settings(max_examples=100, deadline=None)
@given(lives(), st.data())
def test_a_crash_between_recorded_actions_loses_nothing(
    life: tuple[StrategyConfig, int, list[tuple[str, int, int, str]]], data: st.DataObject
) -> None:
    """Recording only some of the actions and asking again ends in the same state as recording all at once."""
    from trading.avi5.plan import next_actions
    from trading.avi5.record import record

    config, direction, steps = life
    bench = Bench(spec(direction, config=config), config)
    now_ms = 0
    for fate, pick, percent, wish in steps:
        now_ms += 300_000
        events = [PlanEvent(EVENTS[wish])] if wish in EVENTS else []
        market = _market(wish, direction, now_ms)
        before = bench.plan
        bench.step(market, *events)  # type: ignore[arg-type]
        actions = next_actions(before, events, market, config)  # type: ignore[arg-type]
        cut = data.draw(st.integers(0, len(actions)))
        broken = record(before, actions[:cut])
        healed = record(broken, next_actions(broken, events, market, config))  # type: ignore[arg-type]
        assert sorted(o.ref for o in healed.orders) == sorted(o.ref for o in bench.plan.orders)
        assert {o.ref for o in healed.orders if o.cancel_requested} == {
            o.ref for o in bench.plan.orders if o.cancel_requested
        }
        assert (healed.stop_price, healed.be_done, healed.close_reason, healed.notified) == (
            bench.plan.stop_price,
            bench.plan.be_done,
            bench.plan.close_reason,
            bench.plan.notified,
        )
        if bench.plan.status.is_final:
            assert bench.plan.status is not PlanStatus.PLACING
            return
        _apply_fate(bench, fate, pick, percent)
