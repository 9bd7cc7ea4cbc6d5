"""The simulated Bybit, pure: one object that is the whole exchange. No network, no clock, no ambient chance.

The wire (REST, sockets) parses JSON, calls a method here with Bybit's own parameter dict and wraps what comes back:

* REST methods take `params` (POST: the parsed JSON object; GET: the query as a dict of str) and return Bybit's `result`
  object; a refusal is raised as `refusals.Refusal(code, message)`. Batch methods return `(result, ret_ext_info)`.
* Time moves by `apply(event)` (a source event; the clock goes to its time) and `advance(now_ms)` (funding, kline
  rollover, liquidation). Call `advance` at least once per emitted frame round; it may be called with any step.
* Nothing is pushed. After every call the wire drains: `drain_private()`, `drain_trades()`, `drain_rollovers()`.
* Books, tickers and open klines are read when wanted: `book`, `ticker`, `kline_item`. The wire chooses the cadence,
  keeps the delta and its own `u` per depth; `BookView.version` moves with every change: an unchanged book is skipped.
* The same specs, config, seed and calls give the same bytes.

Accounts: trade and private methods take `account` (default "main"), so that a second account can trade with the first.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from avigrid.exchange.simulator import (
    account_reads,
    conditional,
    desk,
    funding,
    history,
    liquidation,
    market_reads,
    matching,
    reckoning,
    telling,
)
from avigrid.exchange.simulator.account import Account, PrivateEvent
from avigrid.exchange.simulator.core import Core, VenueConfig
from avigrid.exchange.simulator.feed import BookGrid, BookTarget, HistoryBar, MarkTick, SourceEvent, TapeTrade
from avigrid.exchange.simulator.klines import MINUTE_MS, bar_end
from avigrid.exchange.simulator.market import Market
from avigrid.exchange.simulator.params import Params
from avigrid.exchange.simulator.refusals import Refusal
from avigrid.exchange.simulator.rest_face import MAIN, RestFace
from avigrid.exchange.simulator.rows import Row, execution_rest, order_rest
from avigrid.exchange.simulator.specs import InstrumentSpec
from avigrid.kernel.orders import Side

__all__ = ["MAIN", "BookView", "Params", "PrivateEvent", "Rollover", "Row", "Venue", "VenueConfig"]


@dataclass(frozen=True, slots=True)
class BookView:
    """Levels as the public feed prints them, bids high to low, asks low to high; `cts` = time of the last change."""

    symbol: str
    bids: tuple[tuple[str, str], ...]
    asks: tuple[tuple[str, str], ...]
    version: int
    seq: int
    cts: int


@dataclass(frozen=True, slots=True)
class Rollover:
    """A bar closed: `items` are the two WS items (closed with confirm true, then the new one) of one frame."""

    symbol: str
    interval: str
    items: tuple[Row, Row]


class Venue(RestFace):
    def __init__(self, specs: Sequence[InstrumentSpec], *, config: VenueConfig, start_ms: int, seed: int) -> None:
        self.core = Core(config, start_ms, seed)
        for place, spec in enumerate(specs):
            market = Market(spec, seq=100_000_000_000 + place * 1_000_000_000)
            market.next_funding_ms = funding.next_time(market, start_ms)
            market.open_interest = market.steps(spec.max_limit_qty) * 40
            self.core.markets[spec.symbol] = market
        self.core.account(MAIN)
        fundings = [market.next_funding_ms for market in self.core.markets.values()]
        self._next_funding_ms = min(fundings, default=1 << 62)

    # -- time -------------------------------------------------------------------------------------------------
    @property
    def now_ms(self) -> int:
        return self.core.now_ms

    @property
    def config(self) -> VenueConfig:
        return self.core.config

    @property
    def symbols(self) -> list[str]:
        return list(self.core.markets)

    def apply(self, event: SourceEvent) -> None:
        """The clock goes to the event's time (never back); the event acts; what it makes due happens."""
        core = self.core
        market = core.markets[event.symbol]
        self._to(event.time_ms)
        if isinstance(event, BookGrid):
            matching.replace_outside(core, market, event.bids, event.asks)
        elif isinstance(event, BookTarget):
            matching.set_outside(core, market, event)
        elif isinstance(event, TapeTrade):
            matching.tape(core, market, event)
        else:
            grain = Decimal(1).scaleb(-market.spec.price_scale)
            market.funding_rate = funding.clipped(market, event.funding_rate)
            market.set_reference(core.now_ms, event.mark_price.quantize(grain), event.index_price.quantize(grain))
        if not market.mark and market.last:
            market.set_reference(core.now_ms, market.last_price, market.last_price)
        if isinstance(event, MarkTick):
            self._liquidate(market)
        conditional.run(core, market)
        telling.flush(core)

    def advance(self, now_ms: int) -> None:
        """Funding, bar rollover and liquidation up to `now_ms`; an earlier time is ignored."""
        self._to(now_ms)
        telling.flush(self.core)

    def _to(self, now_ms: int) -> None:
        core = self.core
        if now_ms <= core.now_ms:
            return
        while self._next_funding_ms <= now_ms:
            due = min(core.markets.values(), key=lambda market: market.next_funding_ms)
            core.now_ms = due.next_funding_ms
            self._roll(core.now_ms)
            funding.settle(core, due)
            due.next_funding_ms = funding.next_time(due, core.now_ms)
            self._next_funding_ms = min(market.next_funding_ms for market in core.markets.values())
            self._liquidate(due)
            telling.flush(core)
        before, core.now_ms = core.now_ms, now_ms
        if before // MINUTE_MS != now_ms // MINUTE_MS:
            self._roll(now_ms)

    def _roll(self, now_ms: int) -> None:
        for market in self.core.markets.values():
            market.roll(now_ms)

    def _liquidate(self, market: Market) -> None:
        before = self.core.counters["executions"]
        for account in self.core.accounts.values():
            if any(account.positions[key].size for key in account.positions if key[0] == market.symbol):
                liquidation.check(self.core, account)
        if self.core.counters["executions"] != before:
            for touched in self.core.markets.values():
                conditional.run(self.core, touched)

    def load_history(self, symbol: str, interval_min: int, bars: Iterable[HistoryBar]) -> None:
        """Bars before the start, oldest first, so that klines and 24 h figures have a past. Once, before any event."""
        history.load(self.core, self.core.markets[symbol], interval_min, list(bars))

    def load_fundings(self, symbol: str, rates: Iterable[tuple[int, Decimal]]) -> None:
        """Past settlements (ms, rate), oldest first."""
        self.core.markets[symbol].fundings = list(rates)

    # -- what the sockets read --------------------------------------------------------------------------------
    def drain_private(self, account: str = MAIN) -> list[PrivateEvent]:
        holder = self.core.account(account)
        events, holder.outbox = holder.outbox, []
        return events

    def drain_trades(self) -> list[Row]:
        """WS publicTrade items {T,s,S,v,p,L,i,BT,RPI,seq} since the last call, oldest first."""
        trades, self.core.trades = self.core.trades, []
        return [market_reads.trade_item(self.core, market, item) for market, item in trades]

    def drain_rollovers(self) -> list[Rollover]:
        """Bars that closed since the last call, every symbol and interval."""
        found: list[Rollover] = []
        for market in self.core.markets.values():
            closed, market.rollovers = market.rollovers, []
            for interval, bar in closed:
                start = bar_end(interval, bar[0])
                fresh = (start, bar[4], bar[4], bar[4], bar[4], 0, 0)
                items = (
                    market_reads.kline_item(market, interval, bar, True, self.core.now_ms),
                    market_reads.kline_item(market, interval, fresh, False, self.core.now_ms),
                )
                found.append(Rollover(market.symbol, interval, items))
        return found

    def drain_liquidations(self) -> list[Row]:
        """allLiquidation items {T,s,S,v,p}."""
        items, self.core.liquidations = self.core.liquidations, []
        return items

    def book(self, symbol: str, depth: int) -> BookView:
        market = self.core.markets[symbol]
        book = market.book
        return BookView(
            symbol,
            tuple(market_reads.feed_levels(market, book.bids.levels(depth))),
            tuple(market_reads.feed_levels(market, book.asks.levels(depth))),
            book.version,
            market.seq,
            book.changed_ms or self.core.now_ms,
        )

    def book_version(self, symbol: str) -> int:
        return self.core.markets[symbol].book.version

    def ticker(self, symbol: str) -> Row:
        """The 27 fields of a tickers snapshot; the wire makes the delta."""
        return market_reads.ticker(self.core, self.core.markets[symbol])

    def kline_item(self, symbol: str, interval: str) -> Row | None:
        """The open bar as a WS kline item; None before the symbol has any price."""
        market = self.core.markets[symbol]
        bar = market.bars.current(interval)
        return None if bar is None else market_reads.kline_item(market, interval, bar, False, self.core.now_ms)

    def price_band(self, symbol: str) -> Row:
        """The priceLimit topic's data {symbol, buyLmt, sellLmt}."""
        market = self.core.markets[symbol]
        low, high = market.band()
        return {"symbol": symbol, "buyLmt": market.price_text(high), "sellLmt": market.price_text(low)}

    # -- the truth, and acts of others ------------------------------------------------------------------------
    def state(self, account: str = MAIN) -> Row:
        """For /sim/state: clock, orders (open, closed), executions, positions, wallet, counters."""
        core, holder = self.core, self.core.account(account)
        wallet = account_reads.wallet_balance(core, holder, {"accountType": "UNIFIED"})["list"]
        assert isinstance(wallet, list)
        orders = holder.history
        return {
            "clock": core.now_ms,
            "orders": {
                "open": [order_rest(order) for order in orders if order.is_open],
                "closed": [order_rest(order) for order in orders if not order.is_open],
            },
            "executions": [execution_rest(item) for item in holder.executions],
            "positions": account_reads.position_truth(holder),
            "wallet": wallet[0],
            "counters": dict(sorted(core.counters.items())),
        }

    def price_jump(self, symbol: str, ratio: Decimal) -> None:
        """Moves book, last, mark and index by the ratio (Decimal("-0.05") = down 5 %) at once. The source must follow
        by itself, or its next event takes the market back."""
        core, market = self.core, self._market(symbol)
        if ratio <= -1:
            raise ValueError(f"a price cannot fall by {ratio}")
        move, book = 1 + ratio, market.book
        bids = {max(1, market.ticks_down(market.price(p) * move)): s for p, s in book.bids.outside.items()}
        asks = {market.ticks_up(market.price(p) * move): s for p, s in book.asks.outside.items()}
        matching.replace_outside(core, market, bids, asks)
        market.next_seq()
        core.print_trade(market, max(1, market.ticks(market.last_price * move)), 1, 1 if ratio > 0 else -1)
        grain = Decimal(1).scaleb(-market.spec.price_scale)
        market.set_reference(core.now_ms, (market.mark * move).quantize(grain), (market.index * move).quantize(grain))
        core.counters["price_jumps"] += 1
        self._liquidate(market)
        conditional.run(core, market)
        telling.flush(core)

    def foreign_order(self, params: Params, account: str = MAIN) -> Row:
        """An order somebody else placed on this account (web, phone): as create_order."""
        self.core.counters["foreign_orders"] += 1
        return self.create_order(params, account)

    def foreign_position(self, symbol: str, side: Side, quantity: Decimal, account: str = MAIN) -> None:
        """A position somebody else opened on this account: a market order that fills at the mark."""
        self.core.counters["foreign_positions"] += 1
        self._market(symbol)
        desk.foreign_position(self.core, self.core.account(account), symbol, side, quantity)
        telling.flush(self.core)

    def transfer(self, amount: Decimal, account: str = MAIN) -> None:
        """Somebody pays in (> 0) or takes out; never more than what no position or order holds."""
        owner = self.core.account(account)
        if not amount or reckoning.totals(owner).available + amount < 0:
            raise Refusal(131212, "user insufficient balance")
        desk.transfer(self.core, owner, amount)
        telling.flush(self.core)

    def restart(self) -> None:
        """Exchange restart: the cache of closed orders that order/realtime shows is wiped; everything else stays."""
        for account in self.core.accounts.values():
            account.closed_cache.clear()

    def account(self, name: str = MAIN) -> Account:
        """The account itself, for tests."""
        return self.core.account(name)

    # -- inside -----------------------------------------------------------------------------------------------
    def _market(self, symbol: str) -> Market:
        market = self.core.markets.get(symbol)
        if market is None:
            raise Refusal(10001, "params error: symbol invalid")
        return market
