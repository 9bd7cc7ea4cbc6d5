"""`--source replay:PATH` for klines: every recorded bar happens again, exactly, with a book made up around its
price.
"""

import heapq
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import replace
from decimal import Decimal

from avigrid.exchange.simulator.feed import BookGrid, HistoryBar, MarkTick, SourceEvent, TapeTrade
from avigrid.exchange.simulator.sources.bars import trades_of_bar
from avigrid.exchange.simulator.sources.books import BookMaker
from avigrid.exchange.simulator.sources.catalogue import CHARACTERS, SPECS, generic_character, generic_spec
from avigrid.exchange.simulator.sources.errors import BadSource
from avigrid.exchange.simulator.sources.files import KlineFile
from avigrid.exchange.simulator.sources.flow import Flow
from avigrid.exchange.simulator.sources.fundings import quiet_past
from avigrid.exchange.simulator.specs import InstrumentSpec
from avigrid.kernel.orders import Side

WARM_UP_MS = 2 * 86_400_000
_HISTORY_BARS = 12_000
ONE = Decimal(1)
_USUAL_RANGE = 0.0016


class KlineReplay:
    """`slice_ms`: how often the made-up book moves; trades fall on the same grid."""

    def __init__(
        self,
        files: Sequence[KlineFile],
        *,
        funding: dict[str, list[tuple[int, Decimal]]],
        start_ms: int | None,
        seed: int,
        slice_ms: int = 5_000,
    ) -> None:
        self._files = {file.symbol: file for file in files}
        if len(self._files) != len(files):
            twice = next(f for f in files if self._files[f.symbol] is not f)
            raise BadSource(f"{twice.path}: there is a second recording of {twice.symbol}")
        self._funding = funding
        self._seed = seed
        self._slice_ms = slice_ms
        self._start_ms = self._checked_start(start_ms)
        self._specs = {symbol: _spec_for(file) for symbol, file in self._files.items()}
        self._events = heapq.merge(*(self._play(symbol) for symbol in self._files), key=_time)
        self._next: SourceEvent | None = None

    def _checked_start(self, start_ms: int | None) -> int:
        first = max(file.starts[0] for file in self._files.values())
        last = min(file.starts[-1] + file.interval_ms for file in self._files.values())
        if first >= last:
            raise BadSource("the recordings of these symbols do not overlap in time")
        grain = max(file.interval_ms for file in self._files.values())
        if start_ms is None:
            start_ms = first + min(WARM_UP_MS, (last - first) // 2)
        if not first <= start_ms < last:
            raise BadSource(f"the start {start_ms} is outside the recording ({first} to {last})")
        return start_ms - start_ms % grain

    @property
    def start_ms(self) -> int:
        return self._start_ms

    def instruments(self) -> Sequence[InstrumentSpec]:
        return list(self._specs.values())

    def history(self, symbol: str) -> tuple[int, Sequence[HistoryBar]]:
        """Up to the last bar before the start, as far as it is unbroken."""
        file = self._files[symbol]
        end = bisect_left(file.starts, self._start_ms)
        begin = end
        while begin > max(0, end - _HISTORY_BARS):
            follows = self._start_ms if begin == end else file.starts[begin]
            if follows - file.starts[begin - 1] != file.interval_ms:
                break
            begin -= 1
        return file.interval_ms // 60_000, [file.bar(index) for index in range(begin, end)]

    def fundings(self, symbol: str) -> Sequence[tuple[int, Decimal]]:
        rows = [row for row in self._funding.get(symbol, []) if row[0] <= self._start_ms]
        return rows or quiet_past(self._start_ms, self._specs[symbol].funding_interval_min)

    def events_until(self, ms: int) -> Iterator[SourceEvent]:
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

    def _play(self, symbol: str) -> Iterator[SourceEvent]:
        file, spec = self._files[symbol], self._specs[symbol]
        index = bisect_left(file.starts, self._start_ms)
        bar = file.bar(index)
        character = CHARACTERS.get(symbol) or generic_character(float(bar.open))
        books = BookMaker(spec, depth_usd=character.depth_usd, seed=self._seed ^ hash_of(symbol))
        previous_close = bar.open
        flow = Flow()
        while True:
            yield from self._bridge(spec, bar, previous_close)
            yield from self._play_bar(file, spec, bar, books, flow)
            previous_close = bar.close
            index += 1
            if index >= len(file):
                return
            bar = file.bar(index)

    @staticmethod
    def _bridge(spec: InstrumentSpec, bar: HistoryBar, previous_close: Decimal) -> Iterator[SourceEvent]:
        """Where bars are missing in between, the smallest trade in the gap brings the price to the next open."""
        if bar.open != previous_close:
            side = Side.BUY if bar.open > previous_close else Side.SELL
            yield TapeTrade(spec.symbol, bar.start_ms - 1, bar.open, spec.qty_step, side)

    def _play_bar(
        self, file: KlineFile, spec: InstrumentSpec, bar: HistoryBar, books: BookMaker, flow: Flow
    ) -> Iterator[SourceEvent]:
        slots = max(4, file.interval_ms // self._slice_ms)
        trades = trades_of_bar(bar, spec, length_ms=file.interval_ms, slots=slots, seed=self._seed)
        wildness = float((bar.high - bar.low) / bar.open) / (_USUAL_RANGE * (file.interval_ms / 300_000) ** 0.5)
        stress = min(6.0, max(1.0, wildness))
        yield from self._around(spec, books, bar.start_ms, bar.open, stress, flow.lean, wildness)
        flow.begin(float(bar.open))
        for trade in trades:
            yield trade
            flow.trade(float(trade.price), float(trade.quantity))
            yield from self._around(spec, books, trade.time_ms, trade.price, stress, flow.lean, wildness)
        flow.end()

    def _around(
        self,
        spec: InstrumentSpec,
        books: BookMaker,
        time_ms: int,
        price: Decimal,
        stress: float,
        lean: float,
        wildness: float,
    ) -> Iterator[BookGrid | MarkTick]:
        mid = float(price)
        spread_bps = min(20.0, 0.08 * max(1.0, wildness) ** 1.6)
        spread_ticks = max(1, round(spread_bps * mid / 10_000 / float(spec.tick_size)))
        yield books.around(time_ms, mid, spread_ticks=spread_ticks, imbalance=max(-0.8, min(0.8, lean)), stress=stress)
        unit = Decimal(1).scaleb(-spec.price_scale)
        mark = price.quantize(unit)
        yield MarkTick(spec.symbol, time_ms, mark, mark, self._rate(spec.symbol, time_ms))

    def _rate(self, symbol: str, time_ms: int) -> Decimal:
        """What will be charged at the next funding time, as recorded; 0.01 % where nothing is."""
        rows = self._funding.get(symbol, [])
        place = bisect_right(rows, time_ms, key=lambda row: row[0])
        return rows[place][1] if place < len(rows) else Decimal("0.0001")


def _spec_for(file: KlineFile) -> InstrumentSpec:
    """The listed filters, refined where the recording is finer than today's grid."""
    spec = SPECS.get(file.symbol) or generic_spec(file.symbol, file.bar(0).open)
    price_unit, volume_unit = ONE.scaleb(-file.price_decimals), ONE.scaleb(-file.volume_decimals)
    tick = spec.tick_size if price_unit % spec.tick_size == 0 else min(spec.tick_size, price_unit)
    step = spec.qty_step if volume_unit % spec.qty_step == 0 else min(spec.qty_step, volume_unit)
    if (tick, step) == (spec.tick_size, spec.qty_step):
        return spec
    return replace(spec, tick_size=tick, qty_step=step, price_scale=max(spec.price_scale, file.price_decimals))


def hash_of(symbol: str) -> int:
    """The same on every run, unlike hash()."""
    value = 0
    for letter in symbol:
        value = (value * 131 + ord(letter)) & 0xFFFFFF
    return value


def _time(event: SourceEvent) -> int:
    return event.time_ms
