"""Decode + book + imbalance(10) + microprice per level-50 delta, side by side with plainer ways, on one core.

Run: python -m tests.benchmarks.bench_stream_decode [messages]. Other libraries take part only where they
are installed. Best of three rounds, in CPU seconds: what one core does, however busy the others are.
The stream is generated (seeded) in the shape of recorded ones: about 230 bytes and 4 changed levels a message.
"""

import importlib.util
import json
import math
import random
import sys
import time
from collections.abc import Callable

from avigrid.exchange.bybit.codec.book import book_update
from avigrid.exchange.bybit.codec.stream import PublicDecoder
from avigrid.exchange.bybit.orderbook import OrderBook
from tests.benchmarks import NOT_INSTALLED

TICKS_PER_UNIT = 10
ROUNDS = 3
Result = tuple[float, float, float]


def frame(kind: str, update_id: int, bids: list[tuple[int, int]], asks: list[tuple[int, int]]) -> bytes:
    def side(levels: list[tuple[int, int]]) -> list[list[str]]:
        return [[f"{price / TICKS_PER_UNIT:.2f}", f"{size / 1000:.3f}" if size else "0"] for price, size in levels]

    data = {"s": "BTCUSDT", "b": side(bids), "a": side(asks), "u": update_id, "seq": 753_843_910_000 + update_id}
    sent_ms = 1_786_310_818_129 + 20 * update_id
    message = {"topic": "orderbook.50.BTCUSDT", "type": kind, "ts": sent_ms, "data": data, "cts": sent_ms - 2}
    return json.dumps(message, separators=(",", ":")).encode()


def stream(count: int) -> list[bytes]:
    """A snapshot and `count` deltas that keep 50 levels a side; the touch never moves, sizes and outer levels do."""
    rng = random.Random(50)
    bids = {651_140 - 2 * level: rng.randint(1, 9000) for level in range(50)}
    asks = {651_142 + 2 * level: rng.randint(1, 9000) for level in range(50)}
    frames = [frame("snapshot", 1000, sorted(bids.items(), reverse=True), sorted(asks.items()))]
    for update_id in range(1001, 1001 + count):
        changes = []
        for book, step, base in ((bids, -2, 651_140), (asks, 2, 651_142)):
            near = base + step * min(int(rng.expovariate(0.25)), 49)
            if rng.random() < 0.25:  # one level leaves, another comes
                gone = rng.choice([price for price in book if price != base])
                far = base + step * 50
                fresh = far + step if far in book else far
                while fresh in book:
                    fresh += step
                del book[gone]
                book[fresh] = rng.randint(1, 9000)
                changes.append([(gone, 0), (fresh, book[fresh])])
            else:
                picks = {near if near in book else base, rng.choice(list(book))}
                for price in picks:
                    book[price] = rng.randint(1, 9000)
                changes.append([(price, book[price]) for price in picks])
        frames.append(frame("delta", update_id, *changes))
    return frames


def ours(frames: list[bytes]) -> Result:
    book = OrderBook("BTCUSDT")
    total = micro = 0.0
    for raw in frames:
        fault = book.apply(book_update(raw))
        assert fault is None, fault
        total += book.imbalance(10)
        micro = book.microprice()
    return total, micro, book.best_bid


def ours_with_dispatch(frames: list[bytes]) -> Result:
    """As the feed does it: through the decoder that first finds out what a frame is."""
    decode, book = PublicDecoder().decode, OrderBook("BTCUSDT")
    total = micro = 0.0
    for raw in frames:
        _topic, events = decode(raw)
        book.apply(events[0])
        total += book.imbalance(10)
        micro = book.microprice()
    return total, micro, book.best_bid


def plain(frames: list[bytes]) -> Result:
    """json + dict + sorted()."""
    return _with_dicts(frames, json.loads)


def orjson_dicts(frames: list[bytes]) -> Result:
    import orjson

    return _with_dicts(frames, orjson.loads)


def _with_dicts(frames: list[bytes], loads: Callable[[bytes], dict]) -> Result:
    bids: dict[float, float] = {}
    asks: dict[float, float] = {}
    total = micro = best = 0.0
    for raw in frames:
        data = loads(raw)["data"]
        for book, levels in ((bids, data["b"]), (asks, data["a"])):
            for price, size in levels:
                if float(size) == 0:
                    book.pop(float(price), None)
                else:
                    book[float(price)] = float(size)
        top_bids = sorted(bids.items(), reverse=True)[:10]
        top_asks = sorted(asks.items())[:10]
        b, a = sum(size for _, size in top_bids), sum(size for _, size in top_asks)
        total += (b - a) / (b + a)
        (bid, bid_size), (ask, ask_size) = top_bids[0], top_asks[0]
        micro, best = (ask * bid_size + bid * ask_size) / (bid_size + ask_size), bid
    return total, micro, best


def with_ccxt(frames: list[bytes]) -> Result:
    import orjson
    from ccxt.async_support.base.ws.order_book_side import Asks, Bids

    bids, asks = Bids([], 50), Asks([], 50)
    total = micro = 0.0
    for raw in frames:
        data = orjson.loads(raw)["data"]
        for side, levels in ((bids, data["b"]), (asks, data["a"])):
            for price, size in levels:
                side.storeArray([float(price), float(size)])
        b, a = sum(level[1] for level in bids[:10]), sum(level[1] for level in asks[:10])
        total += (b - a) / (b + a)
        (bid, bid_size), (ask, ask_size) = bids[0][:2], asks[0][:2]
        micro = (ask * bid_size + bid * ask_size) / (bid_size + ask_size)
    return total, micro, bids[0][0]


def with_nautilus(frames: list[bytes]) -> Result:
    import orjson
    from nautilus_trader.model.book import OrderBook as NautilusBook
    from nautilus_trader.model.data import BookOrder
    from nautilus_trader.model.enums import BookType, OrderSide
    from nautilus_trader.model.identifiers import InstrumentId
    from nautilus_trader.model.objects import Price, Quantity

    book = NautilusBook(InstrumentId.from_str("BTCUSDT-LINEAR.BYBIT"), BookType.L2_MBP)
    total = micro = 0.0
    for raw in frames:
        message = orjson.loads(raw)
        data = message["data"]
        for side, levels in ((OrderSide.BUY, data["b"]), (OrderSide.SELL, data["a"])):
            for price, size in levels:
                order = BookOrder(side, Price(float(price), 1), Quantity(float(size), 3), 0)
                if float(size) == 0:
                    book.delete(order, message["ts"])
                else:
                    book.update(order, message["ts"])
        b = sum(level.size() for level in book.bids()[:10])
        a = sum(level.size() for level in book.asks()[:10])
        total += (b - a) / (b + a)
        bid, ask = float(book.best_bid_price()), float(book.best_ask_price())
        bid_size, ask_size = float(book.best_bid_size()), float(book.best_ask_size())
        micro = (ask * bid_size + bid * ask_size) / (bid_size + ask_size)
    return total, micro, bid


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 200_000
    frames = stream(count)
    size = sum(map(len, frames[1:])) / count
    print(f"{count} deltas, {size:.0f} bytes each, Python {sys.version.split()[0]}")
    runners: list[tuple[str, Callable[[list[bytes]], Result], int]] = [
        ("avigrid: typed decode + bisected lists", ours, count),
        ("avigrid: the same through the feed's dispatch", ours_with_dispatch, count),
        ("json + dict + sorted()", plain, count),
        ("orjson + dict + sorted()", orjson_dicts, count),
    ]
    missing = []
    for module, name, run, messages in (
        ("ccxt", "ccxt's order book + orjson", with_ccxt, count),
        ("nautilus_trader", "nautilus_trader's book from Python + orjson", with_nautilus, min(count, 20_000)),
    ):
        if importlib.util.find_spec(module):
            runners.append((name, run, messages))
        else:
            missing.append(name)
    expected = {messages: ours(frames[: messages + 1]) for messages in {runner[2] for runner in runners}}
    best_s: dict[str, float] = {}
    agreed = True
    for _ in range(ROUNDS):
        for name, run, messages in runners:
            started_s = time.process_time()
            result = run(frames[: messages + 1])
            best_s[name] = min(best_s.get(name, math.inf), time.process_time() - started_s)
            pairs = zip(result, expected[messages], strict=True)
            agreed &= all(math.isclose(a, b, rel_tol=1e-6, abs_tol=1e-6) for a, b in pairs)
    for name, _, messages in runners:
        print(f"{name:48s} {(messages + 1) / best_s[name]:10,.0f} messages/s")
    for name in missing:
        print(f"{name:48s} {NOT_INSTALLED}")
    if not agreed:
        sys.exit("THE RESULTS DIFFER")
    print("all agree on imbalances, microprice and best bid")


if __name__ == "__main__":
    main()
