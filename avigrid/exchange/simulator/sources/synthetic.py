"""`--source synthetic`: a seeded market of correlated symbols that never ends."""

import heapq
from collections.abc import Iterator, Sequence
from decimal import Decimal

from avigrid.exchange.simulator.feed import HistoryBar, SourceEvent
from avigrid.exchange.simulator.sources.catalogue import CHARACTERS, SPECS
from avigrid.exchange.simulator.sources.fundings import quiet_past
from avigrid.exchange.simulator.sources.process import MarketProcess, Minute
from avigrid.exchange.simulator.sources.tape import TapeMaker
from avigrid.exchange.simulator.specs import InstrumentSpec

MINUTE_MS = 60_000
DAY_MS = 86_400_000
WARM_UP_DAYS = 2


class SyntheticSource:
    """Same seed, symbols, start and cadence: same bytes. Same seed and day: same prices at the same times."""

    def __init__(
        self, symbols: Sequence[str], *, seed: int, start_ms: int, books_per_s: int = 1, levels: int = 200
    ) -> None:
        if books_per_s not in (1, 2, 4, 5):
            raise ValueError(f"books_per_s must be 1, 2, 4 or 5, got {books_per_s}")
        self._symbols = tuple(symbols)
        self._start_ms = start_ms - start_ms % 1_000
        self._books_per_s = books_per_s
        self._seed = seed
        characters = [CHARACTERS[symbol] for symbol in self._symbols]
        self._process = MarketProcess(characters, seed=seed)
        self._makers = [
            TapeMaker(SPECS[symbol], character, seed=_mixed(seed, symbol), levels=levels)
            for symbol, character in zip(self._symbols, characters, strict=True)
        ]
        self._anchor_ms = (self._start_ms // DAY_MS - WARM_UP_DAYS) * DAY_MS
        self._history: list[list[HistoryBar]] = [[] for _ in self._symbols]
        self._current = self._warm_up()
        self._events = self._stream()
        self._next: SourceEvent | None = None

    @property
    def start_ms(self) -> int:
        return self._start_ms

    def instruments(self) -> Sequence[InstrumentSpec]:
        return [SPECS[symbol] for symbol in self._symbols]

    def history(self, symbol: str) -> tuple[int, Sequence[HistoryBar]]:
        return 1, self._history[self._symbols.index(symbol)]

    def fundings(self, symbol: str) -> Sequence[tuple[int, Decimal]]:
        interval_min = SPECS[symbol].funding_interval_min
        return quiet_past(self._start_ms, interval_min, seed=_mixed(self._seed, symbol))

    def events_until(self, ms: int) -> Iterator[SourceEvent]:
        event = self._next
        self._next = None
        while True:
            if event is None:
                event = next(self._events)
            if event.time_ms > ms:
                self._next = event
                return
            yield event
            event = None

    def _warm_up(self) -> Minute:
        """Runs the process from its anchor to the minute the source starts in, keeping the bars."""
        while True:
            minute = self._process.minute()
            if self._minute_ms(minute) + MINUTE_MS > self._start_ms:
                return minute
            self._keep_bars(minute)

    def _minute_ms(self, minute: Minute) -> int:
        return self._anchor_ms + minute.index * MINUTE_MS

    def _keep_bars(self, minute: Minute) -> None:
        start_ms = self._minute_ms(minute)
        highs = minute.mids.max(axis=0).tolist()
        lows = minute.mids.min(axis=0).tolist()
        closes = minute.mids[-1].tolist()
        activity = minute.activity.tolist()
        for column, maker in enumerate(self._makers):
            spec, character = maker.spec, CHARACTERS[maker.spec.symbol]
            tick = float(spec.tick_size)
            bars = self._history[column]
            close = spec.tick_size * max(1, round(closes[column] / tick))
            first = bars[-1].close if bars else close
            high = max(spec.tick_size * max(1, round(highs[column] / tick)), first, close)
            low = min(spec.tick_size * max(1, round(lows[column] / tick)), first, close)
            usd = character.trade_usd * character.trades_per_s * 60 * activity[column]
            volume = spec.qty_step * max(1, int(usd / closes[column] / float(spec.qty_step)))
            turnover = (volume * (high + low + close) / 3).quantize(Decimal("0.0001"))
            bars.append(HistoryBar(start_ms, first, high, low, close, volume, turnover))

    def _stream(self) -> Iterator[SourceEvent]:
        minute = self._current
        while True:
            yield from self._play(minute)
            minute = self._process.minute()

    def _play(self, minute: Minute) -> Iterator[SourceEvent]:
        begin_ms = self._minute_ms(minute)
        mids = minute.mids.tolist()
        imbalance = minute.imbalance.tolist()
        vol_ratio = minute.vol_ratio.tolist()
        activity = minute.activity.tolist()
        before = minute.opens.tolist()
        length_ms = 1_000 // self._books_per_s
        for second, after in enumerate(mids):
            second_ms = begin_ms + second * 1_000
            if second_ms >= self._start_ms:
                streams = [
                    self._second(
                        maker, second_ms, length_ms, column, before, after, imbalance[second], vol_ratio, activity
                    )
                    for column, maker in enumerate(self._makers)
                ]
                yield from heapq.merge(*streams, key=_time)
            before = after

    def _second(
        self,
        maker: TapeMaker,
        second_ms: int,
        length_ms: int,
        column: int,
        before: list[float],
        after: list[float],
        imbalance: list[float],
        vol_ratio: list[float],
        activity: list[float],
    ) -> Iterator[SourceEvent]:
        mid_from, mid_to, lean = before[column], after[column], imbalance[column]
        yield maker.mark(second_ms, mid_from, imbalance=lean)
        parts = self._books_per_s
        for part in range(parts):
            yield from maker.slice(
                second_ms + part * length_ms,
                length_ms,
                mid_from + (mid_to - mid_from) * part / parts,
                mid_from + (mid_to - mid_from) * (part + 1) / parts,
                imbalance=lean,
                vol_ratio=vol_ratio[column],
                activity=activity[column],
            )


def _time(event: SourceEvent) -> int:
    return event.time_ms


def _mixed(seed: int, symbol: str) -> int:
    """A seed per symbol that does not depend on which other symbols there are."""
    mixed = seed & 0xFFFFFFFF
    for letter in symbol:
        mixed = (mixed * 1_000_003) ^ ord(letter)
        mixed &= 0xFFFFFFFFFFFF
    return mixed
