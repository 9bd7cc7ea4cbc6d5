"""`--source replay:PATH` for what was recorded trade by trade or frame by frame: trade files, order books, socket
captures.
"""

import heapq
import random
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from pathlib import Path

from avigrid.exchange.simulator.feed import BookGrid, HistoryBar, MarkTick, SourceEvent, TapeTrade
from avigrid.exchange.simulator.messages import parse_object
from avigrid.exchange.simulator.sources.books import BookMaker
from avigrid.exchange.simulator.sources.catalogue import CHARACTERS, SPECS, generic_character, generic_spec
from avigrid.exchange.simulator.sources.errors import BadSource
from avigrid.exchange.simulator.sources.files import lines
from avigrid.exchange.simulator.sources.frames import FrameDecoder
from avigrid.exchange.simulator.sources.fundings import quiet_past
from avigrid.exchange.simulator.specs import InstrumentSpec
from avigrid.kernel.money import Rounding, to_multiple
from avigrid.kernel.orders import Side

_MINUTE_MS = 60_000
_WARM_UP_MS = 2 * 86_400_000
_RATE = Decimal("0.0001")

TradeRow = tuple[int, Decimal, Decimal, Side]


def read_trades(path: Path) -> dict[str, list[TradeRow]]:
    """Rows of Bybit's trade download by symbol, oldest first whatever the file's order.

    An inverse contract (BTCUSD, size in USD) is replayed as the linear one of the same coin: size / price.
    """
    out: dict[str, list[TradeRow]] = {}
    for number, text in lines(path):
        if number == 1 or not text:
            continue
        parts = text.split(",")
        try:
            time_ms = int(Decimal(parts[0]) * 1_000)
            symbol, side, price, size = parts[1], Side(parts[2]), Decimal(parts[4]), Decimal(parts[3])
            if price <= 0 or size < 0:
                raise ValueError
        except (IndexError, ValueError, InvalidOperation):
            raise BadSource(f"{path}: line {number}: not a trade row: {text[:80]!r}") from None
        if symbol.endswith("USD"):
            symbol, size = f"{symbol}T", size / price
        out.setdefault(symbol, []).append((time_ms, price, size, side))
    for rows in out.values():
        rows.sort(key=lambda row: row[0])
    return out


def _spec(symbol: str, price: Decimal) -> InstrumentSpec:
    return SPECS.get(symbol) or generic_spec(symbol, price)


@dataclass(slots=True)
class _Tape:
    spec: InstrumentSpec
    rows: list[TradeRow]
    books: BookMaker


class TradeReplay:
    """Recorded trades with a book made up around them; bars before the start come from the file's own beginning."""

    def __init__(self, trades: dict[str, list[TradeRow]], *, start_ms: int | None, seed: int) -> None:
        if not trades:
            raise BadSource("the recording holds no trades")
        self._tapes: dict[str, _Tape] = {}
        for symbol, rows in trades.items():
            spec = _spec(symbol, rows[0][1])
            character = CHARACTERS.get(symbol) or generic_character(float(rows[0][1]))
            self._tapes[symbol] = _Tape(spec, rows, BookMaker(spec, depth_usd=character.depth_usd, seed=seed))
        first = max(rows[0][0] for rows in trades.values())
        last = min(rows[-1][0] for rows in trades.values())
        if start_ms is None:
            start_ms = first + min(_WARM_UP_MS, (last - first) // 4)
        if not first <= start_ms <= last:
            raise BadSource(f"the start {start_ms} is outside the recording ({first} to {last})")
        self._start_ms = start_ms - start_ms % _MINUTE_MS
        streams = [self._play(tape, random.Random(seed)) for tape in self._tapes.values()]
        self._feed = _Feed(heapq.merge(*streams, key=_time))

    @property
    def start_ms(self) -> int:
        return self._start_ms

    def instruments(self) -> Sequence[InstrumentSpec]:
        return [tape.spec for tape in self._tapes.values()]

    def history(self, symbol: str) -> tuple[int, Sequence[HistoryBar]]:
        tape = self._tapes[symbol]
        end = bisect_left(tape.rows, self._start_ms, key=lambda row: row[0])
        return 1, _minutes(tape.rows[:end], tape.spec, self._start_ms)

    def fundings(self, symbol: str) -> Sequence[tuple[int, Decimal]]:
        return quiet_past(self._start_ms, 480)

    def events_until(self, ms: int) -> Iterator[SourceEvent]:
        return self._feed.until(ms)

    def _play(self, tape: _Tape, rng: random.Random) -> Iterator[SourceEvent]:
        spec = tape.spec
        begin = bisect_left(tape.rows, self._start_ms, key=lambda row: row[0])
        book_ms = 0
        flow = 0.0
        for time_ms, price, size, side in tape.rows[begin:]:
            price = to_multiple(price, spec.tick_size, Rounding.NEAREST)
            if time_ms - book_ms >= 250:
                book_ms = time_ms
                lean = max(-0.8, min(0.8, flow + rng.gauss(0, 0.15)))
                yield _around(tape, time_ms, price, side, lean)
                mark = price.quantize(Decimal(1).scaleb(-spec.price_scale))
                yield MarkTick(spec.symbol, time_ms, mark, mark, _RATE)
            flow = 0.95 * flow + 0.05 * side.sign
            quantity = max(spec.qty_step, to_multiple(size, spec.qty_step, Rounding.NEAREST))
            yield TapeTrade(spec.symbol, time_ms, price, quantity, side)


def _around(tape: _Tape, time_ms: int, price: Decimal, side: Side, lean: float) -> BookGrid:
    """A buyer's trade was at the ask, a seller's at the bid."""
    half = float(tape.spec.tick_size) / 2
    mid = float(price) - half if side is Side.BUY else float(price) + half
    return tape.books.around(time_ms, mid, spread_ticks=1, imbalance=lean)


def _minutes(rows: list[TradeRow], spec: InstrumentSpec, end_ms: int) -> list[HistoryBar]:
    """One bar a minute without holes, each opening at the previous close."""
    bars: list[HistoryBar] = []
    place = 0
    if not rows:
        return bars
    close = rows[0][1]
    for start_ms in range(rows[0][0] - rows[0][0] % _MINUTE_MS, end_ms, _MINUTE_MS):
        first = high = low = close
        volume = turnover = Decimal(0)
        while place < len(rows) and rows[place][0] < start_ms + _MINUTE_MS:
            close = to_multiple(rows[place][1], spec.tick_size, Rounding.NEAREST)
            high, low = max(high, close), min(low, close)
            size = to_multiple(rows[place][2], spec.qty_step, Rounding.NEAREST)
            volume += size
            turnover += size * close
            place += 1
        bars.append(HistoryBar(start_ms, first, high, low, close, volume, turnover))
    return bars


class FrameReplay:
    """Recorded public frames (order-book downloads, socket captures), played as they came. There is no history in
    them.
    """

    def __init__(self, paths: Sequence[Path], *, symbols: Sequence[str]) -> None:
        self._paths = list(paths)
        seen, self._start_ms = self._survey(symbols)
        if not seen:
            raise BadSource(f"{self._paths[0]} holds no book, trade or ticker of a USDT perpetual")
        self._specs = {symbol: _spec(symbol, price) for symbol, price in seen.items()}
        streams = [self._play(path) for path in self._paths]
        self._feed = _Feed(heapq.merge(*streams, key=_time))

    @property
    def start_ms(self) -> int:
        return self._start_ms

    def instruments(self) -> Sequence[InstrumentSpec]:
        return list(self._specs.values())

    def history(self, symbol: str) -> tuple[int, Sequence[HistoryBar]]:
        return 1, ()

    def fundings(self, symbol: str) -> Sequence[tuple[int, Decimal]]:
        return quiet_past(self._start_ms, 480)

    def events_until(self, ms: int) -> Iterator[SourceEvent]:
        return self._feed.until(ms)

    def _survey(self, symbols: Sequence[str]) -> tuple[dict[str, Decimal], int]:
        """Which symbols there are, each with a price, and when it begins; every line is parsed once on the way."""
        seen: dict[str, Decimal] = {}
        first_ms: int | None = None
        for path in self._paths:
            for number, frame in _frames(path):
                symbol = str(frame["topic"]).rsplit(".", 1)[-1]
                price = _price_in(frame)
                stamp = frame.get("cts") or frame.get("ts")
                if not isinstance(stamp, int):
                    raise BadSource(f"{path}: line {number}: a frame without time")
                if first_ms is None or stamp < first_ms:
                    first_ms = stamp
                if price is not None and symbol.endswith("USDT") and (not symbols or symbol in symbols):
                    seen.setdefault(symbol, price)
        return seen, (first_ms or 0) - 1

    def _play(self, path: Path) -> Iterator[SourceEvent]:
        decoder = FrameDecoder(self._specs)
        latest_ms = self._start_ms
        for number, frame in _frames(path):
            try:
                events = list(decoder.events(frame))
            except ValueError as error:
                raise BadSource(f"{path}: line {number}: {error}") from error
            for event in events:
                # Frames of different topics overlap by milliseconds; time on the venue only goes forward.
                latest_ms = max(latest_ms, event.time_ms)
                yield event if event.time_ms == latest_ms else replace(event, time_ms=latest_ms)


def _frames(path: Path) -> Iterator[tuple[int, dict[str, object]]]:
    """Public frames of category linear: plain JSON lines, or the received lines of a capture's linear connections."""
    linear: set[str] = set()
    for number, text in lines(path):
        if not text:
            continue
        row = parse_object(text)
        if row is None:
            raise BadSource(f"{path}: line {number}: not a JSON object: {text[:60]!r}")
        if row.get("t") == "connect" and "/linear" in str(row.get("addr", "")):
            linear.add(str(row.get("conn")))
        if "t" in row and row["t"] != "recv":
            continue
        if row.get("t") == "recv":
            if row.get("conn") not in linear:
                continue
            row = parse_object(str(row.get("data", "")))
            if row is None:
                raise BadSource(f"{path}: line {number}: the received data is not a JSON object")
        if isinstance(row.get("topic"), str):
            yield number, row


def _price_in(frame: dict[str, object]) -> Decimal | None:
    data = frame.get("data")
    text: object = None
    if isinstance(data, dict):
        text = data.get("lastPrice")
        if text is None and isinstance(data.get("b"), list) and data["b"]:
            text = data["b"][0][0]
    try:
        return Decimal(str(text)) if text else None
    except InvalidOperation:
        return None


class _Feed:
    """Hands out a merged stream up to a time."""

    def __init__(self, events: Iterator[SourceEvent]) -> None:
        self._events = events
        self._next: SourceEvent | None = None

    def until(self, ms: int) -> Iterator[SourceEvent]:
        event = self._next
        self._next = None
        while True:
            if event is None:
                event = next(self._events, None)
            if event is None:
                return
            if event.time_ms > ms:
                self._next = event
                return
            yield event
            event = None


def _time(event: SourceEvent) -> int:
    return event.time_ms
