"""The order path: click to accepted, fill frame to committed position, frames a second, full reconciliation, restart.

Run: python -m tests.benchmarks.bench_execution [rounds]. A database of its own, dropped at the end; the exchange is
simulated in a thread of this process, so its work is part of every figure. Aims: fill to commit p95 <= 50 ms, 1,000
frames a second, full reconciliation of 15 symbols with 300 orders <= 2 s, restart to trading <= 10 s.
"""

import json
import os
import sys
import threading
import time
from dataclasses import replace
from decimal import Decimal
from typing import Any

import django

D = Decimal


def _quantiles(values: list[float]) -> dict[str, float]:
    ordered = sorted(values)
    return {
        "p50_ms": round(ordered[len(ordered) // 2] * 1000, 2),
        "p95_ms": round(ordered[int(len(ordered) * 0.95)] * 1000, 2),
        "max_ms": round(ordered[-1] * 1000, 2),
    }


def _loosen(account_id: int) -> None:
    from risk.services.limits import limits_update

    changes: dict[str, Decimal | int | bool] = {
        "anti_churn_s": 0,
        "max_concurrent": 100,
        "max_plan_risk_r": D(1_000),
        "max_total_risk_r": D(100_000),
        "max_per_symbol_risk_r": D(10_000),
        "daily_loss_r": D(100_000),
        "max_plan_notional_usd": D(100_000_000),
        "max_symbol_notional_usd": D(100_000_000),
        "orders_per_minute": 100_000,
        "orders_per_day": 1_000_000,
    }
    limits_update(account_id=account_id, changes=changes, actor="benchmark", reason="benchmark", otp_used=True)


def clicks(rounds: int) -> dict[str, Any]:
    from tests.support.trading_desk import trading_desk
    from trading.models import Plan
    from trading.services.plan_commands import plan_close

    accepted, committed, protected = [], [], []
    with trading_desk() as desk:
        _loosen(desk.account.pk)
        desk.start()
        for _ in range(rounds):
            started = time.perf_counter()
            plan = desk.placed(symbol="SOLUSDT")
            entry = plan.orders.get(role="entry")
            execution = desk.execution
            assert execution is not None

            def known(order: Any = entry) -> bool:
                order.refresh_from_db()
                return order.acknowledged_at is not None

            while not known():
                execution.turn(wait_s=0.005)
            accepted.append(time.perf_counter() - started)
            desk.until(lambda plan=plan: Plan.objects.get(pk=plan.pk).stop_confirmed is not None)
            for fill in plan.fills.filter(order=entry):
                committed.append((fill.booked_at - fill.received_at).total_seconds())
            plan.refresh_from_db()
            first = plan.fills.order_by("booked_at").first()
            assert first is not None
            assert plan.stop_confirmed_at is not None
            protected.append((plan.stop_confirmed_at - first.booked_at).total_seconds())
            plan_close(plan_id=plan.pk, user="benchmark")
            desk.until(lambda plan=plan: not Plan.objects.get(pk=plan.pk).is_open)
    return {
        "click_to_accepted": _quantiles(accepted),
        "fill_frame_to_committed": _quantiles(committed),
        "fill_to_confirmed_stop": _quantiles(protected),
    }


def frames(count: int) -> dict[str, Any]:
    from django.utils import timezone

    from avigrid.kernel.orders import Execution, Side
    from tests.support.trading_desk import trading_desk
    from trading.models import Fill
    from trading.runtime.inbox import Heard

    with trading_desk() as desk:
        _loosen(desk.account.pk)
        desk.start()
        plan = desk.opened(symbol="SOLUSDT")
        entry = plan.orders.get(role="entry")
        now_ms = desk.client.clock.now_ms()
        base = Execution(
            exec_id="",
            order_id="other",
            order_link_id="",
            symbol="BTCUSDT",
            side=Side.BUY,
            price=D(100),
            quantity=D("0.001"),
            fee_usd=D("0.00005"),
            is_maker=True,
            time_ms=now_ms,
        )
        rows = [replace(base, exec_id=f"bench{n}", time_ms=now_ms + n) for n in range(count)]
        hearing = desk.execution.hearing  # type: ignore[union-attr]
        started, cpu = time.perf_counter(), time.thread_time()
        for first in range(0, count, 100):
            hearing.take([Heard(row, timezone.now()) for row in rows[first : first + 100]])
        batched_s, batched_cpu_s = time.perf_counter() - started, time.thread_time() - cpu
        single = []
        for row in rows[:200]:
            began = time.perf_counter()
            hearing.take([Heard(replace(row, exec_id=row.exec_id + "s", time_ms=row.time_ms + count), timezone.now())])
            single.append(time.perf_counter() - began)
        assert Fill.objects.filter(exec_id__startswith="bench").count() == count + 200
        assert entry.filled_qty > 0
    return {
        "fills_per_s_in_batches_of_100": round(count / batched_s),
        "cpu_ms_per_fill_in_batches": round(batched_cpu_s / count * 1000, 3),
        "one_fill_frame_to_commit": _quantiles(single),
    }


def mixed_frames(fills: int) -> dict[str, Any]:
    """As the venue sends them for every fill of an order of ours: order, execution, position, wallet.

    First in bursts of twenty, then as an open loop at 1,000 frames a second through the inbox, taken as the process
    takes them: sustained means that the backlog does not grow.
    """
    from django.utils import timezone

    from tests.support.trading_desk import trading_desk
    from trading.models import Fill, Order
    from trading.runtime.inbox import Heard

    with trading_desk(balance="10000000") as desk:
        _loosen(desk.account.pk)
        desk.start()
        plan = desk.placed(symbol="SOLUSDT", profile="grid", rungs=20, r_usd="5000")
        desk.until(lambda: Order.objects.filter(status="intent").count() == 0, timeout_s=60)
        desk.settle()
        assert desk.execution is not None
        resting = [row for row in desk.client.gateway.open_orders() if row.order_link_id.startswith("av-")]
        entries = set(plan.orders.filter(role="entry").values_list("order_link_id", flat=True))
        told = _told_of_fills([row for row in resting if row.order_link_id in entries], fills * 5, desk)
        burst = 5
        booked, taken = Fill.objects.count(), []
        started, cpu = time.perf_counter(), time.thread_time()
        for first in range(0, fills, burst):
            began = time.perf_counter()
            events = [event for four in told[first : first + burst] for event in four]
            desk.execution.hearing.take([Heard(event, timezone.now()) for event in events])
            taken.append(time.perf_counter() - began)
        whole_s, cpu_s = time.perf_counter() - started, time.thread_time() - cpu
        assert Fill.objects.count() == booked + fills
        sustained = _sustained(desk.execution, told[fills:], frames_per_s=1_000)
        assert Fill.objects.count() == booked + fills * 5
    return {
        "mixed_frames_per_s_in_bursts_of_20": round(fills * 4 / whole_s),
        "cpu_ms_per_mixed_frame": round(cpu_s / fills / 4 * 1000, 3),
        f"mixed_burst_of_{burst * 4}_to_commit": _quantiles(taken),
        "at_1000_mixed_frames_per_s": sustained,
    }


def _sustained(execution: Any, told: list[tuple[Any, ...]], *, frames_per_s: int) -> dict[str, Any]:
    """Frames put in at their planned times, taken in the loop's own portions; latency counts from the plan."""
    from django.utils import timezone

    from trading.runtime.inbox import Heard

    inbox, backlog, late = execution.inbox, [], []
    due = [number * 4 / frames_per_s for number in range(len(told))]
    began = time.perf_counter()

    def produce() -> None:
        for at_s, four in zip(due, told, strict=True):
            time.sleep(max(0.0, began + at_s - time.perf_counter()))
            for event in four:
                inbox.put(Heard(event, timezone.now()))

    producer = threading.Thread(target=produce)
    producer.start()
    done = portions = 0
    names = {execution_row.exec_id: number for number, (_, execution_row, _, _) in enumerate(told)}
    while done < len(told):
        items = inbox.take(wait_s=0.2)
        if not items:
            continue
        backlog.append(len(inbox))
        portions += 1
        heard = [item for item in items if isinstance(item, Heard)]
        execution.hearing.take(heard)
        now_s = time.perf_counter() - began
        for item in heard:
            number = names.get(getattr(item.event, "exec_id", ""))
            if number is not None:
                late.append(now_s - due[number])
                done += 1
    whole_s = time.perf_counter() - began
    producer.join()
    half = len(backlog) // 2
    return {
        "kept_up_frames_per_s": round(len(told) * 4 / whole_s),
        "fill_to_commit": _quantiles(late),
        "frames_a_portion": round(len(told) * 4 / portions),
        "backlog_first_half_max": max(backlog[:half]),
        "backlog_second_half_max": max(backlog[half:]),
    }


def _told_of_fills(orders: list[Any], fills: int, desk: Any) -> list[tuple[Any, ...]]:
    """Each order is filled in equal parts, one after the other; the position grows with them."""
    from avigrid.kernel.orders import Execution

    assert orders
    wallet = desk.client.gateway.wallet()
    position = next(
        row for row in desk.client.gateway.position("SOLUSDT") if row.position_idx == orders[0].position_idx
    )
    parts = -(-fills // len(orders))
    now_ms, told, size = desk.client.clock.now_ms(), [], position.size
    for number in range(fills):
        order, part = orders[number // parts], number % parts + 1
        step, at_ms = D("0.1"), now_ms + number
        assert order.quantity > step * parts, order
        assert order.price is not None
        size += step
        execution = Execution(
            exec_id=f"mixed{number}",
            order_id=order.order_id,
            order_link_id=order.order_link_id,
            symbol=order.symbol,
            side=order.side,
            price=order.price,
            quantity=step,
            fee_usd=order.price * step * D("0.0002"),
            is_maker=True,
            time_ms=at_ms,
        )
        frame = replace(
            order, status="PartiallyFilled", filled_qty=step * part, avg_price=order.price, updated_ms=at_ms
        )
        held = replace(position, side=order.side, size=size, avg_price=order.price, updated_ms=at_ms)
        told.append((frame, execution, held, wallet))
    return told


def reconciliation() -> dict[str, Any]:
    from avigrid.exchange.simulator.sources.catalogue import DEFAULT_SYMBOLS
    from tests.support.trading_desk import trading_desk
    from trading.models import Order

    with trading_desk(symbols=tuple(DEFAULT_SYMBOLS)[:15], balance="10000000") as desk:
        _loosen(desk.account.pk)
        execution = desk.start()
        for symbol in tuple(DEFAULT_SYMBOLS)[:15]:
            desk.placed(symbol=symbol, profile="grid", rungs=20, r_usd="5000")
            desk.settle(5)
        desk.until(lambda: Order.objects.filter(status="intent").count() == 0, timeout_s=120)
        desk.settle(30)
        resting = len(desk.client.gateway.open_orders())
        taken = []
        for _ in range(5):
            began = time.perf_counter()
            assert execution.reconciler.run("full").status != "incomplete"
            taken.append(time.perf_counter() - began)
        desk.kill()
        began = time.perf_counter()
        desk.start(timeout_s=60)
        restart_s = time.perf_counter() - began
    return {
        "full_reconciliation_s": round(sorted(taken)[len(taken) // 2], 3),
        "resting_orders": resting,
        "restart_to_trading_s_without_interpreter": round(restart_s, 2),
    }


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 50
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "avigrid.settings.bench")
    os.environ.setdefault("AVIGRID_LOG_LEVEL", "ERROR")
    django.setup()
    from django.core.management import call_command
    from django.test.utils import setup_databases, teardown_databases

    from avigrid.common import push
    from tests.support import audit_flush

    audit_flush.install()
    push.start_background()  # as the execution process does
    databases = setup_databases(verbosity=0, interactive=False)
    report: dict[str, Any] = {}
    try:
        for measure in (
            lambda: clicks(rounds),
            lambda: frames(max(rounds * 40, 1000)),
            lambda: mixed_frames(rounds * 10),
            reconciliation,
        ):
            report |= measure()
            call_command("flush", verbosity=0, interactive=False)
    finally:
        teardown_databases(databases, verbosity=0)
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
