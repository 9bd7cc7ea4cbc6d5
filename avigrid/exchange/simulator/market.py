"""One symbol's market: book, reference prices, prints, bars, open interest. Knows nothing of accounts."""

from collections import deque
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from avigrid.exchange.simulator import margin
from avigrid.exchange.simulator.klines import Bar, Bars
from avigrid.exchange.simulator.orderbook import Book
from avigrid.exchange.simulator.orders import BUY, Order
from avigrid.exchange.simulator.specs import InstrumentSpec
from avigrid.exchange.simulator.text import decimals_of, plain

ZERO = Decimal(0)
FINE = Decimal("0.00000001")
"""Grain of mark, index and premium series."""
_PREMIUM_WINDOW_MS = 30_000
_RECENT = 1000
_KEPT_ROWS = 20_000


@dataclass(slots=True, eq=False)
class Print:
    """One trade on the public tape, never changed; `side` is the taker's."""

    number: int
    time_ms: int
    price: int
    qty: int
    side: int
    seq: int
    tick_direction: str


@dataclass(frozen=True, slots=True)
class DayPast:
    """What the closed bars of the last 24 h add up to; 0 where there are none."""

    minute: int
    high: int
    low: int
    volume: int
    turnover: int
    day_ago: int
    hour_ago: int


class Market:
    def __init__(self, spec: InstrumentSpec, seq: int) -> None:
        self.spec = spec
        self.symbol = spec.symbol
        self.tick = spec.tick_size
        self.step = spec.qty_step
        self.unit = spec.tick_size * spec.qty_step
        self.seq = seq
        self.book = Book()
        self.last: int = 0
        """Last traded price in ticks; 0 before any price is known."""
        self.mark = self.index = ZERO
        self.funding_rate = Decimal("0.0001")
        self.next_funding_ms = 0
        self.fundings: list[tuple[int, Decimal]] = []
        self.prints: deque[Print] = deque(maxlen=_RECENT)
        self.rollovers: list[tuple[str, Bar]] = []
        self.bars = Bars(self._closed)
        self.mark_bars, self.index_bars, self.premium_bars = Bars(), Bars(), Bars()
        self.open_interest = 0
        self.interest_rows: list[tuple[int, int]] = []
        self.ratio_rows: list[tuple[int, Decimal]] = []
        """(end of five minutes, buyers' share of what takers traded in them)."""
        self._bought = 0
        self.day_past: DayPast | None = None
        self.untriggered: list[Order] = []
        self.low_since_check = self.high_since_check = 0
        """Extremes of last price since triggers were looked at; 0 = nothing printed."""
        self._premiums: deque[tuple[int, Decimal]] = deque()
        self._direction = "ZeroPlusTick"
        self._price_decimals = spec.price_scale
        self._qty_decimals = decimals_of(spec.qty_step)

    # -- grid and text ----------------------------------------------------------------------------------------
    def ticks(self, price: Decimal) -> int:
        return int(price / self.tick)

    def ticks_down(self, price: Decimal) -> int:
        return int((price / self.tick).to_integral_value(ROUND_FLOOR))

    def ticks_up(self, price: Decimal) -> int:
        return int((price / self.tick).to_integral_value(ROUND_CEILING))

    def steps(self, qty: Decimal) -> int:
        return int(qty / self.step)

    def price(self, ticks: int) -> Decimal:
        return ticks * self.tick

    def qty(self, steps: int) -> Decimal:
        return steps * self.step

    def price_text(self, ticks: int) -> str:
        return plain(ticks * self.tick)

    def qty_text(self, steps: int) -> str:
        return plain(steps * self.step)

    def feed_price(self, ticks: int) -> str:
        """As the public feeds print it: padded to priceScale."""
        return f"{ticks * self.tick:.{self._price_decimals}f}"

    def feed_qty(self, steps: int) -> str:
        return f"{steps * self.step:.{self._qty_decimals}f}"

    def reference_text(self, price: Decimal) -> str:
        return f"{price:.{self._price_decimals}f}"

    # -- prices -----------------------------------------------------------------------------------------------
    @property
    def last_price(self) -> Decimal:
        return self.last * self.tick

    @property
    def is_priced(self) -> bool:
        return self.last > 0 and self.mark > 0

    def price_of(self, trigger_by: str) -> Decimal:
        if trigger_by == "MarkPrice":
            return self.mark
        if trigger_by == "IndexPrice":
            return self.index
        return self.last_price

    def premium(self) -> Decimal:
        """30 s average of mid - mark."""
        if not self._premiums:
            return ZERO
        return sum((value for _, value in self._premiums), ZERO) / len(self._premiums)

    def band(self) -> tuple[int, int]:
        """(lowest sell, highest buy) in ticks."""
        spec = self.spec
        low, high = margin.price_band(self.mark, self.index, self.premium(), spec.limit_ratio_x, spec.limit_ratio_y)
        return max(1, self.ticks_up(low)), self.ticks_down(min(high, spec.max_price))

    def protected_price(self, side: int) -> int:
        """Limit of a market order: X beyond mark or last, whichever reaches farther."""
        ratio = self.spec.limit_ratio_x
        if side == BUY:
            return self.ticks_down(max(self.mark, self.last_price) * (1 + ratio))
        return max(1, self.ticks_up(min(self.mark, self.last_price) * (1 - ratio)))

    # -- change -----------------------------------------------------------------------------------------------
    def next_seq(self) -> int:
        self.seq += 1
        return self.seq

    def print(self, number: int, now_ms: int, price: int, qty: int, side: int) -> Print:
        last = self.last
        if price > last:
            self._direction = "PlusTick"
        elif price < last:
            self._direction = "MinusTick"
        elif self._direction == "PlusTick":
            self._direction = "ZeroPlusTick"
        elif self._direction == "MinusTick":
            self._direction = "ZeroMinusTick"
        self.last = price
        if self.high_since_check == 0:
            self.low_since_check = self.high_since_check = price
        elif price > self.high_since_check:
            self.high_since_check = price
        elif price < self.low_since_check:
            self.low_since_check = price
        if side == BUY:
            self._bought += qty
        item = Print(number, now_ms, price, qty, side, self.seq, self._direction)
        self.prints.append(item)
        self.bars.print(now_ms, price, qty)
        return item

    @property
    def tick_direction(self) -> str:
        return self._direction

    def set_reference(self, now_ms: int, mark: Decimal, index: Decimal) -> None:
        self.mark, self.index = mark, index
        self.mark_bars.print(now_ms, int(mark / FINE))
        self.index_bars.print(now_ms, int(index / FINE))
        if index:
            self.premium_bars.print(now_ms, int((mark - index) / index / FINE))
        if self.last == 0:
            self.last = max(1, self.ticks(mark))

    def sample_premium(self, now_ms: int) -> None:
        window = self._premiums
        if window and now_ms - window[-1][0] < 1000:
            return
        bid, ask = self.book.bids.best(), self.book.asks.best()
        if bid is not None and ask is not None and self.mark:
            window.append((now_ms, (bid + ask) * self.tick / 2 - self.mark))
        while window and window[0][0] < now_ms - _PREMIUM_WINDOW_MS:
            window.popleft()

    def roll(self, now_ms: int) -> None:
        for bars in (self.bars, self.mark_bars, self.index_bars, self.premium_bars):
            bars.roll(now_ms)

    def _closed(self, interval: str, bar: Bar, following: int) -> None:
        self.rollovers.append((interval, bar))
        if interval == "5":
            share = Decimal(self._bought) / bar[5] if bar[5] else Decimal("0.5")
            self._bought = 0
            self.interest_rows.append((following, self.open_interest))
            self.ratio_rows.append((following, share))
            for rows in (self.interest_rows, self.ratio_rows):
                if len(rows) > _KEPT_ROWS:
                    del rows[: _KEPT_ROWS // 4]
