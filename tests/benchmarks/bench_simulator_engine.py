"""Orders per second of the simulated venue, bare (book, matching, settlement) and whole (Bybit's parameters to rows).

Run: python -m tests.benchmarks.bench_simulator_engine [orders]. Prints one JSON object. CPU time of this process, so
that a busy machine does not count; two orders make one match (a maker and a taker), both count as matched.
"""

import gc
import json
import sys
import time
from decimal import Decimal

from avigrid.exchange.simulator import matching
from avigrid.exchange.simulator.orders import Order
from tests.support.simulated_venue import Floor


def rate(count: int, seconds: float) -> int:
    return round(count / seconds)


def book_only(count: int) -> int:
    """Placing, queueing and matching inside one book, no account behind it."""
    floor = Floor()
    market, account = floor.venue.core.markets["BTCUSDT"], floor.venue.account()
    book = market.book
    book.bids.replace({})
    book.asks.replace({})
    orders = [
        Order(account, market, str(n), "", -1 if n % 2 == 0 else 1, "Limit", 500_000 + n % 7, 1, "GTC", leaves=1)
        for n in range(count)
    ]
    started = time.process_time()
    for order in orders:
        head = book.against(order.side).head(order.price)
        if head is None or head[1] is None:
            book.side(order.side).add(order)
        else:
            maker = head[1]
            maker.leaves = order.leaves = 0
            book.side(maker.side).remove(maker)
            book.touch(0)
    return rate(count, time.process_time() - started)


def engine(count: int) -> int:
    """Matching and settlement: positions, fees, wallet, executions, transaction log, closed PnL, tape, bars."""
    floor = Floor(balance_usdt=Decimal(10**9))
    core, account = floor.venue.core, floor.venue.account()
    market = core.markets["BTCUSDT"]
    started = time.process_time()
    for n in range(count):
        order = Order(account, market, str(n), "", 1 if n % 2 else -1, "Limit", 500_000, 1, "GTC", leaves=1, number=n)
        account.opens("BTCUSDT")[order.order_id] = order
        matching.submit(core, order)
    seconds = time.process_time() - started
    assert core.counters["executions"] == count
    return rate(count, seconds)


def whole(count: int) -> int:
    """create_order as the wire calls it: checks, margin, matching, settlement, private frames."""
    floor = Floor(balance_usdt=Decimal(10**9))
    venue = floor.venue
    started = time.process_time()
    for n in range(count):
        side = "Buy" if n % 2 else "Sell"
        venue.create_order(floor.body(side=side, orderType="Limit", qty="0.001", price="50000"))
        venue.drain_private()
    seconds = time.process_time() - started
    assert venue.core.counters["executions"] == count
    return rate(count, seconds)


def market_flow(count: int) -> int:
    """Source events: a 50-level book each, with 20 of our orders resting inside."""
    floor = Floor(balance_usdt=Decimal(10**9))
    for n in range(1, 11):
        floor.limit("Buy", "0.01", str(Decimal(50_000) - n))
        floor.limit("Sell", "0.01", str(Decimal(50_000) + n))
    started = time.process_time()
    for n in range(count):
        floor.quote(str(Decimal(500_000 + n % 3) / 10), levels=50)
    return rate(count, time.process_time() - started)


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    gc.collect()
    gc.freeze()
    print(
        json.dumps(
            {
                "orders": count,
                "book_orders_per_s": book_only(count),
                "engine_orders_per_s": engine(count),
                "venue_orders_per_s": whole(count // 4),
                "book_targets_per_s": market_flow(count // 10),
            }
        )
    )


if __name__ == "__main__":
    main()
