"""The grid plan through every path. Rungs 1000, 990 ... 960; stop 1000 - (4*10 + 80) = 880; exits one step up."""

from dataclasses import replace
from decimal import Decimal

from avigrid.kernel.orders import OrderRole, OrderStatus, TimeInForce
from tests.unit.trading.avi5.builders import Bench, spec, view
from trading.avi5.actions import (
    BeginClose,
    CancelOrder,
    CloseReason,
    Finish,
    MoveStop,
    PlaceOrder,
    PlanStatus,
    StopEntries,
    StopReason,
)
from trading.avi5.config import Profile, StrategyConfig
from trading.avi5.state import EventKind, PlanEvent

D = Decimal
GRID = StrategyConfig(profile=Profile.GRID)


def opened(config: StrategyConfig = GRID, direction: int = 1) -> Bench:
    bench = Bench(spec(direction, profile=Profile.GRID, config=config), config)
    bench.step()
    bench.fill("e0-0-0", price="1000")
    bench.step()
    return bench


def placed(actions: list[object]) -> list[tuple[str, int, int, Decimal | None]]:
    return [(a.role.value[0], a.rung, a.cycle, a.price) for a in actions if isinstance(a, PlaceOrder)]


def test_all_rungs_are_offered_at_once() -> None:
    bench = Bench(spec(profile=Profile.GRID), GRID)
    actions = bench.step()
    assert placed(list(actions)) == [
        ("e", 0, 0, D("1001.0")),
        ("e", 1, 0, D("990.0")),
        ("e", 2, 0, D("980.0")),
        ("e", 3, 0, D("970.0")),
        ("e", 4, 0, D("960.0")),
    ]
    tifs = [a.time_in_force for a in actions if isinstance(a, PlaceOrder)]
    assert tifs == [TimeInForce.IOC] + [TimeInForce.POST_ONLY] * 4


def test_a_short_grid_is_the_mirror_image() -> None:
    bench = Bench(spec(-1, profile=Profile.GRID), GRID)
    assert [price for *_, price in placed(list(bench.step()))] == [
        D("999.0"),
        D("1010.0"),
        D("1020.0"),
        D("1030.0"),
        D("1040.0"),
    ]
    assert bench.plan.spec.stop == D("1120.0")
    assert [rung.take_profit for rung in bench.plan.spec.rungs][:2] == [D("990.0"), D("1000.0")]


def test_each_filled_rung_gets_its_own_exit() -> None:
    bench = Bench(spec(profile=Profile.GRID), GRID)
    bench.step()
    bench.fill("e0-0-0")
    actions = bench.step()
    assert MoveStop(D("880.0"), StopReason.INITIAL) in actions
    assert placed(list(actions)) == [("t", 0, 0, D("1010.0"))]
    bench.fill("e1-0-0")
    assert placed(list(bench.step(view("990")))) == [("t", 1, 0, D("1000.0"))]


def test_a_sold_rung_is_armed_again_three_times_at_its_own_price() -> None:
    bench = opened()
    for cycle in range(3):
        bench.fill(f"t0-{cycle}-0")
        assert placed(list(bench.step(view("1010")))) == [("e", 0, cycle + 1, D("1000.0"))]
        order = bench.order(f"e0-{cycle + 1}-0")
        assert order.quantity == bench.plan.spec.rungs[0].quantity
        bench.fill(order.ref)
        assert placed(list(bench.step(view("1000")))) == [("t", 0, cycle + 1, D("1010.0"))]
    bench.fill("t0-3-0")
    assert bench.step(view("1010")) == []


def test_the_grid_ends_when_every_rung_is_used_up() -> None:
    config = StrategyConfig(profile=Profile.GRID, rungs=2, max_cycles=0)
    bench = opened(config)
    bench.fill("t0-0-0")
    assert bench.step(view("1010")) == []  # rung 1 still rests
    bench.fill("e1-0-0")
    bench.step(view("990"))
    bench.fill("t1-0-0")
    assert bench.step(view("1000")) == [Finish(PlanStatus.CLOSED, CloseReason.TAKE_PROFIT)]


def test_no_rung_is_armed_where_it_would_take() -> None:
    bench = opened()
    bench.fill("t0-0-0")
    assert bench.step(view("999.9")) == []
    assert placed(list(bench.step(view("1000.1")))) == [("e", 0, 1, D("1000.0"))]


def test_a_refused_post_only_rung_is_offered_three_times() -> None:
    bench = opened()
    for attempt in range(2):
        bench.end(f"e2-0-{attempt}", OrderStatus.CANCELLED)
        assert placed(list(bench.step(view("985")))) == [("e", 2, 0, D("980.0"))]
    bench.end("e2-0-2", OrderStatus.REJECTED)
    assert bench.step(view("985")) == []


def test_a_partly_filled_rung_is_protected_and_sold_in_parts() -> None:
    bench = opened()
    size = bench.plan.spec.rungs[1].quantity
    bench.fill("e1-0-0", "0.001")
    assert bench.step(view("990")) == []  # a crumb
    bench.fill("e1-0-0", "0.1")
    first = bench.step(view("990"))
    assert [a.quantity for a in first if isinstance(a, PlaceOrder)] == [D("0.101")]
    bench.fill("e1-0-0")
    second = bench.step(view("990"))
    assert [(a.attempt, a.quantity) for a in second if isinstance(a, PlaceOrder)] == [(1, size - D("0.101"))]


def test_the_trend_turning_cancels_rungs_and_keeps_exits() -> None:
    bench = opened()
    assert bench.step(view("995", trend=-1)) == [
        StopEntries(CloseReason.TREND),
        *[CancelOrder(f"e{rung}-0-0") for rung in (1, 2, 3, 4)],
    ]
    assert bench.live(OrderRole.TAKE_PROFIT) == ["t0-0-0"]
    for rung in (1, 2, 3, 4):
        bench.end(f"e{rung}-0-0")
    assert bench.step(view("995", trend=1)) == []  # turning back does not arm them again
    bench.fill("t0-0-0")
    assert bench.step(view("1010", trend=1)) == [Finish(PlanStatus.CLOSED, CloseReason.TAKE_PROFIT)]


def test_a_rung_that_is_held_while_the_trend_turns_is_not_armed_again() -> None:
    config = StrategyConfig(profile=Profile.GRID, rungs=1)
    bench = opened(config)
    assert bench.step(view("995", trend=-1)) == [StopEntries(CloseReason.TREND)]
    bench.fill("t0-0-0")
    assert bench.step(view("1010", trend=1)) == [Finish(PlanStatus.CLOSED, CloseReason.TAKE_PROFIT)]


def test_a_flat_trend_is_not_against() -> None:
    assert opened().step(view("995", trend=0)) == []


def test_cancel_entries_keeps_the_position() -> None:
    bench = opened()
    actions = bench.step(view(), PlanEvent(EventKind.CANCEL_ENTRIES))
    assert actions[0] == StopEntries(CloseReason.CANCELLED)
    assert bench.plan.position_qty == bench.plan.spec.rungs[0].quantity


def test_held_back_entries_come_when_they_may() -> None:
    bench = opened()
    bench.fill("t0-0-0")
    assert bench.step(view("1010", entries_allowed=False)) == []
    assert bench.plan.status is PlanStatus.ACTIVE
    assert placed(list(bench.step(view("1010")))) == [("e", 0, 1, D("1000.0"))]


def test_the_stop_takes_all_rungs() -> None:
    bench = opened()
    bench.fill("e1-0-0")
    bench.step(view("990"))
    bench.plan = replace(bench.plan, stop_filled_qty=bench.plan.position_qty)
    actions = bench.step(view("880"))
    assert actions[0] == BeginClose(CloseReason.STOP)
    assert {a.ref for a in actions if isinstance(a, CancelOrder)} == {
        "e2-0-0",
        "e3-0-0",
        "e4-0-0",
        "t0-0-0",
        "t1-0-0",
    }


def test_an_underfilled_first_rung_takes_the_grid_down() -> None:
    bench = Bench(spec(profile=Profile.GRID), GRID)
    bench.step()
    bench.fill("e0-0-0", "0.05")
    bench.end("e0-0-0")
    actions = bench.step()
    assert actions[0] == BeginClose(CloseReason.UNDERFILL)
    for rung in (1, 2, 3, 4):
        bench.end(f"e{rung}-0-0")
    bench.fill("c0-0-0")
    assert bench.step() == [Finish(PlanStatus.FAILED_UNDERFILL, CloseReason.UNDERFILL)]


def test_an_unknown_rung_keeps_a_closing_plan_open() -> None:
    bench = opened()
    bench.change("e3-0-0", status=OrderStatus.UNKNOWN)
    bench.step(view(), PlanEvent(EventKind.OPERATOR_CLOSE))
    for ref in ("e1-0-0", "e2-0-0", "e4-0-0", "t0-0-0"):
        bench.end(ref)
    bench.step()
    bench.fill("c0-0-0")
    assert bench.step() == []
    bench.fill("e3-0-0")  # it did arrive
    close = bench.step()[-1]
    assert isinstance(close, PlaceOrder)
    assert (close.role, close.attempt, close.quantity) == (OrderRole.CLOSE, 1, bench.plan.spec.rungs[3].quantity)


def test_break_even_ends_buying() -> None:
    """Averages 1000 and 990 of equal sizes; 995 * 1.0011 = 996.0945, up to the tick: 996.1."""
    bench = opened()
    bench.fill("e1-0-0")
    bench.step(view("990"))
    actions = bench.step(view("1000"), PlanEvent(EventKind.OPERATOR_BREAK_EVEN))
    assert actions[0] == MoveStop(D("996.1"), StopReason.BREAK_EVEN)
    assert {a.ref for a in actions if isinstance(a, CancelOrder)} == {"e2-0-0", "e3-0-0", "e4-0-0"}


def test_a_rung_that_fills_after_break_even_is_sold_again_and_moves_nothing() -> None:
    """Its cancel came too late: the stop above covers it too, and nobody widens that stop for its sake."""
    bench = opened()
    bench.plan = replace(bench.plan, be_requested=True)
    stop = next(a for a in bench.step(view("1010")) if isinstance(a, MoveStop))
    assert stop == MoveStop(D("1001.1"), StopReason.BREAK_EVEN)
    bench.fill("e1-0-0")
    actions = bench.step(view("1005"))
    assert placed(list(actions)) == [("t", 1, 0, D("1000.0"))]
    assert not any(isinstance(a, MoveStop) for a in actions)
    assert bench.plan.stop_price == D("1001.1")


def test_a_rung_that_fills_after_the_stop_took_the_rest_is_closed_at_once() -> None:
    bench = opened()
    bench.plan = replace(bench.plan, be_requested=True)
    bench.step(view("1010"))
    first = bench.plan.spec.rungs[0].quantity
    bench.plan = replace(bench.plan, stop_filled_qty=first)
    actions = bench.step(view("990"))
    assert BeginClose(CloseReason.STOP) in actions
    assert {a.ref for a in actions if isinstance(a, CancelOrder)} == {"t0-0-0"}  # the rungs' were asked for before
    bench.fill("e1-0-0")
    bench.end("t0-0-0")
    close = bench.step(view("990"))[-1]
    assert isinstance(close, PlaceOrder)
    assert (close.role, close.quantity) == (OrderRole.CLOSE, bench.plan.spec.rungs[1].quantity)
    for ref in ("e2-0-0", "e3-0-0", "e4-0-0"):
        bench.end(ref)
    bench.fill("c0-0-0", price="989")
    assert bench.step(view("989")) == [Finish(PlanStatus.CLOSED, CloseReason.STOP)]
