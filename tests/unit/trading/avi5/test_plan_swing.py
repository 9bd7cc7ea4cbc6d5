"""The swing plan through every path. Entry 1000, d = 80: stop 920, take-profits 1080, 1160, 1240."""

from dataclasses import replace
from decimal import Decimal

import pytest

from avigrid.kernel.orders import OrderRole, OrderStatus, OrderType, Side, TimeInForce
from tests.unit.trading.avi5.builders import Bench, instrument, spec, view
from trading.avi5.actions import (
    Activate,
    BeginClose,
    CancelOrder,
    CloseReason,
    Finish,
    MoveStop,
    Notice,
    NotifyOnce,
    PlaceOrder,
    PlanStatus,
    StopReason,
)
from trading.avi5.config import BreakEvenMode, PartialPolicy, StrategyConfig
from trading.avi5.state import EventKind, PlanEvent

D = Decimal


def opened(config: StrategyConfig | None = None, direction: int = 1) -> Bench:
    bench = Bench(spec(direction, config=config), config)
    bench.step()
    bench.fill("e0-0-0", price="1000")
    bench.step()
    return bench


def test_the_first_step_places_one_ioc_limit() -> None:
    """qty = floor(100 / (80 + 1000 * 0.0011)) = floor(1.23304...) to 0.001."""
    bench = Bench(spec())
    assert bench.step() == [
        PlaceOrder(
            OrderRole.ENTRY,
            0,
            0,
            0,
            Side.BUY,
            OrderType.LIMIT,
            TimeInForce.IOC,
            D("1.233"),
            D("1001.0"),
            reduce_only=False,
        )
    ]


def test_a_fill_gets_its_stop_and_its_ladder() -> None:
    bench = Bench(spec())
    bench.step()
    bench.fill("e0-0-0")
    actions = bench.step()
    assert actions[:2] == [Activate(), MoveStop(D("920.0"), StopReason.INITIAL)]
    ladder = [(a.rung, a.quantity, a.price) for a in actions if isinstance(a, PlaceOrder)]
    assert ladder == [(0, D("0.616"), D("1080.0")), (1, D("0.369"), D("1160.0")), (2, D("0.248"), D("1240.0"))]
    assert all(a.reduce_only and a.side is Side.SELL for a in actions if isinstance(a, PlaceOrder))
    assert bench.plan.status is PlanStatus.ACTIVE


def test_a_partial_fill_is_protected_before_it_is_judged() -> None:
    bench = Bench(spec())
    bench.step()
    bench.fill("e0-0-0", "0.3")
    assert bench.step() == [MoveStop(D("920.0"), StopReason.INITIAL)]


def test_the_ladder_ends_the_plan() -> None:
    bench = opened()
    bench.fill("t0-0-0")
    actions = bench.step(view("1080"))
    assert actions == [
        MoveStop(D("1001.1"), StopReason.BREAK_EVEN),
        NotifyOnce(Notice.BREAK_EVEN, "break_even"),
    ]
    bench.fill("t1-0-0")
    assert bench.step(view("1160")) == []
    bench.fill("t2-0-0")
    assert bench.step(view("1240")) == [Finish(PlanStatus.CLOSED, CloseReason.TAKE_PROFIT)]


def test_break_even_for_a_short_is_the_mirror_image() -> None:
    bench = opened(direction=-1)
    assert bench.plan.stop_price == D("1080.0")
    bench.fill("t0-0-0")
    assert bench.step(view("920"))[0] == MoveStop(D("998.9"), StopReason.BREAK_EVEN)


def test_break_even_waits_until_the_stop_can_stand() -> None:
    bench = opened()
    bench.fill("t0-0-0")
    assert bench.step(view("1001")) == []
    assert bench.step(view("1001.2"))[0] == MoveStop(D("1001.1"), StopReason.BREAK_EVEN)


def test_break_even_by_price_alone() -> None:
    bench = opened()
    assert bench.step(view("1079.9")) == []
    assert bench.step(view("1080"))[0] == MoveStop(D("1001.1"), StopReason.BREAK_EVEN)


def test_visual_break_even_only_tells_once() -> None:
    bench = opened(StrategyConfig(be_mode=BreakEvenMode.VISUAL))
    assert bench.step(view("1080")) == [NotifyOnce(Notice.BREAK_EVEN, "break_even")]
    assert bench.step(view("1090")) == []
    assert bench.plan.stop_price == D("920.0")


def test_the_operator_may_move_to_break_even_in_visual_mode() -> None:
    bench = opened(StrategyConfig(be_mode=BreakEvenMode.VISUAL))
    assert bench.step(view("1010"), PlanEvent(EventKind.OPERATOR_BREAK_EVEN))[0] == MoveStop(
        D("1001.1"), StopReason.BREAK_EVEN
    )


def test_break_even_never_widens_a_tighter_stop() -> None:
    bench = opened()
    bench.plan = replace(bench.plan, stop_price=D("1050"))
    assert bench.step(view("1100")) == []


@pytest.mark.parametrize(
    ("got", "policy", "expected"),
    [
        ("1.172", PartialPolicy.RETRY, "filled"),
        ("1.171", PartialPolicy.ACCEPT, "filled"),
        ("1.171", PartialPolicy.RETRY, "retry"),
        ("0.617", PartialPolicy.ACCEPT, "filled"),
        ("0.616", PartialPolicy.ACCEPT, "underfill"),
        ("0.616", PartialPolicy.RETRY, "underfill"),
    ],
)
def test_partial_first_fills(got: str, policy: PartialPolicy, expected: str) -> None:
    """Of 1.233: 95 % is 1.17135, 50 % is 0.6165."""
    bench = Bench(spec(), StrategyConfig(partial_policy=policy))
    bench.step()
    bench.fill("e0-0-0", got)
    bench.end("e0-0-0")
    actions = bench.step()
    if expected == "filled":
        exits = [a.quantity for a in actions if isinstance(a, PlaceOrder)]
        assert sum(exits) == D(got)
        assert all(a.reduce_only for a in actions if isinstance(a, PlaceOrder))
    elif expected == "retry":
        placed = [a for a in actions if isinstance(a, PlaceOrder)]
        assert [(a.role, a.attempt, a.quantity) for a in placed] == [(OrderRole.ENTRY, 1, D("1.233") - D(got))]
    else:
        assert actions[0] == BeginClose(CloseReason.UNDERFILL)
        close = actions[-1]
        assert isinstance(close, PlaceOrder)
        assert (close.role, close.order_type, close.quantity, close.reduce_only) == (
            OrderRole.CLOSE,
            OrderType.MARKET,
            D(got),
            True,
        )
        bench.fill("c0-0-0")
        assert bench.step() == [Finish(PlanStatus.FAILED_UNDERFILL, CloseReason.UNDERFILL)]


def test_two_retries_then_it_is_accepted() -> None:
    bench = Bench(spec(), StrategyConfig(partial_policy=PartialPolicy.RETRY))
    bench.step()
    bench.fill("e0-0-0", "0.7")
    bench.end("e0-0-0")
    for attempt in (1, 2):
        bench.step()
        bench.fill(f"e0-0-{attempt}", "0.1")
        bench.end(f"e0-0-{attempt}")
    actions = bench.step()
    assert sum(a.quantity for a in actions if isinstance(a, PlaceOrder)) == D("0.9")
    assert bench.plan.status is PlanStatus.ACTIVE


def test_nothing_filled_and_refused() -> None:
    bench = Bench(spec())
    bench.step()
    bench.end("e0-0-0", OrderStatus.CANCELLED)
    assert bench.step() == [
        BeginClose(CloseReason.UNDERFILL),
        Finish(PlanStatus.FAILED_UNDERFILL, CloseReason.UNDERFILL),
    ]
    bench = Bench(spec())
    bench.step()
    bench.end("e0-0-0", OrderStatus.REJECTED)
    assert bench.step()[-1] == Finish(PlanStatus.FAILED, CloseReason.REJECTED)


def test_an_unknown_entry_is_waited_for_and_never_replaced() -> None:
    bench = Bench(spec())
    bench.step()
    bench.change("e0-0-0", status=OrderStatus.UNKNOWN)
    assert bench.step(view("1100", now_ms=80_000_000)) == []


def test_the_stop_cancels_the_rest_and_ends_the_plan() -> None:
    bench = opened()
    bench.plan = replace(bench.plan, stop_filled_qty=D("1.233"))
    assert bench.step(view("920")) == [
        BeginClose(CloseReason.STOP),
        CancelOrder("t0-0-0"),
        CancelOrder("t1-0-0"),
        CancelOrder("t2-0-0"),
    ]
    for ref in ("t0-0-0", "t1-0-0", "t2-0-0"):
        bench.end(ref)
    assert bench.step(view("920")) == [Finish(PlanStatus.CLOSED, CloseReason.STOP)]


def test_a_stop_that_filled_in_part_is_finished_by_hand() -> None:
    bench = opened()
    bench.plan = replace(bench.plan, stop_filled_qty=D("1"))
    bench.step(view("920"))
    for ref in ("t0-0-0", "t1-0-0", "t2-0-0"):
        bench.end(ref)
    close = bench.step(view("920"))[-1]
    assert isinstance(close, PlaceOrder)
    assert close.quantity == D("0.233")


@pytest.mark.parametrize(
    ("event", "reason"),
    [(EventKind.OPERATOR_CLOSE, CloseReason.OPERATOR), (EventKind.KILL_SWITCH, CloseReason.KILL_SWITCH)],
)
def test_closing_withdraws_exits_before_it_sells(event: EventKind, reason: CloseReason) -> None:
    bench = opened()
    actions = bench.step(view(), PlanEvent(event))
    assert actions == [BeginClose(reason), CancelOrder("t0-0-0"), CancelOrder("t1-0-0"), CancelOrder("t2-0-0")]
    bench.end("t0-0-0")
    bench.fill("t1-0-0")  # its cancel came too late
    first = bench.step()
    assert [a.quantity for a in first if isinstance(a, PlaceOrder)] == [D("0.616")]
    bench.end("t2-0-0")
    assert bench.step() == []  # one closing order in flight
    bench.fill("c0-0-0")
    assert [a.quantity for a in bench.step() if isinstance(a, PlaceOrder)] == [D("0.248")]
    bench.fill("c0-0-1")
    assert bench.step() == [Finish(PlanStatus.CLOSED, reason)]


def test_a_close_of_any_size_goes_in_market_sized_pieces() -> None:
    bench = Bench(spec(filters=instrument(max_market="0.5")))
    bench.step()
    bench.fill("e0-0-0")
    bench.step(view(), PlanEvent(EventKind.KILL_SWITCH))
    sold = []
    for attempt in range(3):
        sold.append(bench.order(f"c0-0-{attempt}").quantity)
        bench.fill(f"c0-0-{attempt}")
        bench.step()
    assert sold == [D("0.5"), D("0.5"), D("0.233")]
    assert bench.plan.status is PlanStatus.CLOSED


def test_refused_closes_are_told_once_and_tried_again() -> None:
    bench = opened()
    bench.step(view(), PlanEvent(EventKind.OPERATOR_CLOSE))
    for ref in ("t0-0-0", "t1-0-0", "t2-0-0"):
        bench.end(ref)
    told = []
    for attempt in range(7):
        told += [(attempt, action) for action in bench.step() if isinstance(action, NotifyOnce)]
        bench.end(f"c0-0-{attempt}", OrderStatus.REJECTED)
    assert told == [(5, NotifyOnce(Notice.CLOSE_STUCK, "close_stuck"))]


def test_time_exit_after_a_day() -> None:
    bench = opened()
    assert bench.step(view(now_ms=86_399_999)) == []
    assert bench.step(view(now_ms=86_400_000))[0] == BeginClose(CloseReason.TIME)


def test_funding_alert_and_automatic_exit() -> None:
    """0.3R is 30 USD: 24.33... of price on 1.233."""
    near = {"now_ms": 10_000, "next_funding_ms": 10_000 + 599_999}
    bench = opened()
    assert bench.step(view("1024", **near)) == [NotifyOnce(Notice.FUNDING, "funding_609999")]  # type: ignore[arg-type]
    assert bench.step(view("1024", **near)) == []  # type: ignore[arg-type]
    bench = opened()
    assert bench.step(view("1024.4", **near)) == []  # type: ignore[arg-type]
    assert bench.step(view("1024", now_ms=10_000, next_funding_ms=10_000 + 600_000)) == []
    bench = opened(StrategyConfig(auto_funding_exit=True))
    actions = bench.step(view("1024", **near))  # type: ignore[arg-type]
    assert actions[:2] == [NotifyOnce(Notice.FUNDING, "funding_609999"), BeginClose(CloseReason.FUNDING)]


def test_a_cancelled_exit_is_put_back_three_times_at_most() -> None:
    bench = opened()
    for attempt in (0, 1):
        bench.end(f"t1-0-{attempt}")
        placed = bench.step()
        assert [(a.rung, a.attempt, a.quantity) for a in placed if isinstance(a, PlaceOrder)] == [
            (1, attempt + 1, D("0.369"))
        ]
    bench.end("t1-0-2", OrderStatus.REJECTED)
    assert bench.step() == [NotifyOnce(Notice.EXIT_REFUSED, "exit_refused_1_0")]


def test_a_finished_plan_does_nothing() -> None:
    bench = opened()
    bench.plan = replace(bench.plan, status=PlanStatus.CLOSED)
    assert bench.step(view("1"), PlanEvent(EventKind.KILL_SWITCH)) == []
