"""Answers about the market: klines, books, tickers, trades, funding history, open interest."""

from bisect import bisect_left
from decimal import Decimal

from avigrid.exchange.simulator import params as read
from avigrid.exchange.simulator.core import Core
from avigrid.exchange.simulator.klines import DAY_MS, INTERVALS, MINUTE_MS, Bar, Bars, bar_end, bar_start
from avigrid.exchange.simulator.market import FINE, DayPast, Market, Print
from avigrid.exchange.simulator.orders import SIDE_TEXT
from avigrid.exchange.simulator.params import Params
from avigrid.exchange.simulator.refusals import bad_parameter, unknown_symbol
from avigrid.exchange.simulator.rows import Row
from avigrid.exchange.simulator.text import eight, plain

_PERIODS_MS = {"5min": 300_000, "15min": 900_000, "30min": 1_800_000, "1h": 3_600_000, "4h": 14_400_000, "1d": DAY_MS}


def market_of(core: Core, params: Params, default: str = "") -> Market:
    category = read.category(params, default)
    market = core.markets.get(read.required(params, "symbol"))
    if market is None or category != "linear":
        raise unknown_symbol()
    return market


# -- bars -----------------------------------------------------------------------------------------------------
def trade_bar(market: Market, bar: Bar) -> list[str]:
    """[start, open, high, low, close, volume, turnover]."""
    tick = market.tick
    prices = [plain(value * tick) for value in bar[1:5]]
    return [str(bar[0]), *prices, plain(bar[5] * market.step), plain(bar[6] * market.unit)]


def kline(core: Core, params: Params) -> Row:
    market = market_of(core, params, "linear")
    interval, bars = _bars(params, market.bars)
    return {
        "symbol": market.symbol,
        "category": "linear",
        "list": [trade_bar(market, bar) for bar in _newest_first(params, interval, bars)],
    }


def reference_kline(core: Core, params: Params, which: str) -> Row:
    """which: mark | index | premium; rows of five."""
    market = market_of(core, params, "linear")
    series = {"mark": market.mark_bars, "index": market.index_bars, "premium": market.premium_bars}[which]
    interval, bars = _bars(params, series)
    items = [
        [str(bar[0]), *(plain(value * FINE) for value in bar[1:5])] for bar in _newest_first(params, interval, bars)
    ]
    return {"symbol": market.symbol, "category": "linear", "list": items}


def _bars(params: Params, bars: Bars) -> tuple[str, Bars]:
    interval = read.required(params, "interval")
    if interval not in INTERVALS:
        raise bad_parameter("interval invalid")
    return interval, bars


def _newest_first(params: Params, interval: str, bars: Bars) -> list[Bar]:
    limit = read.limit(params, 1, 1000, 200)
    start, end = read.integer(params, "start"), read.integer(params, "end")
    if start is not None and end is not None and end < start:
        raise bad_parameter("start is later than end")
    if any(value is not None and not 0 <= value < 1 << 43 for value in (start, end)):
        raise bad_parameter("start or end invalid")
    return bars.select(interval, start, end, limit)[::-1]


def kline_item(market: Market, interval: str, bar: Bar, confirm: bool, now_ms: int) -> Row:
    tick = market.tick
    return {
        "start": bar[0],
        "end": bar_end(interval, bar[0]) - 1,
        "interval": interval,
        "open": plain(bar[1] * tick),
        "close": plain(bar[4] * tick),
        "high": plain(bar[2] * tick),
        "low": plain(bar[3] * tick),
        "volume": plain(bar[5] * market.step),
        "turnover": plain(bar[6] * market.unit),
        "confirm": confirm,
        "timestamp": now_ms,
    }


# -- book, ticker, trades ---------------------------------------------------------------------------------------
def feed_levels(market: Market, levels: list[tuple[int, int]]) -> list[tuple[str, str]]:
    return [(market.feed_price(price), market.feed_qty(size)) for price, size in levels]


def orderbook(core: Core, params: Params) -> Row:
    market = market_of(core, params)
    depth = read.limit(params, 1, 1000, 25)
    book = market.book
    return {
        "s": market.symbol,
        "b": [list(level) for level in feed_levels(market, book.bids.levels(depth))],
        "a": [list(level) for level in feed_levels(market, book.asks.levels(depth))],
        "ts": core.now_ms,
        "u": book.version,
        "seq": market.seq,
        "cts": book.changed_ms or core.now_ms,
    }


def _closed_day(market: Market, now_ms: int) -> DayPast:
    """The closed five-minute bars of the last 24 h; worked out once a minute."""
    minute = now_ms // MINUTE_MS
    cached = market.day_past
    if cached is not None and cached.minute == minute:
        return cached
    rows = market.bars.closed("5")
    bars = rows[bisect_left(rows, (bar_start("5", now_ms - DAY_MS),)) :]
    recent = next((bar for bar in bars if bar[0] > now_ms - 3_600_000), None)
    past = DayPast(
        minute,
        high=max((bar[2] for bar in bars), default=0),
        low=min((bar[3] for bar in bars), default=0),
        volume=sum(bar[5] for bar in bars),
        turnover=sum(bar[6] for bar in bars),
        day_ago=bars[0][1] if bars else 0,
        hour_ago=recent[1] if recent else 0,
    )
    market.day_past = past
    return past


def _day(market: Market, now_ms: int) -> tuple[int, int, int, int, int, int]:
    """(high, low, volume, turnover, price 24 h ago, price 1 h ago), the open bar included."""
    past, current = _closed_day(market, now_ms), market.bars.current("5")
    if current is None:
        last = market.last
        return last, last, 0, 0, last, last
    _, first, high, low, _, volume, turnover = current
    return (
        max(high, past.high),
        min(low, past.low) if past.low else low,
        volume + past.volume,
        turnover + past.turnover,
        past.day_ago or first,
        past.hour_ago or first,
    )


def ticker(core: Core, market: Market) -> Row:
    spec = market.spec
    high, low, volume, turnover, day_ago, hour_ago = _day(market, core.now_ms)
    change = Decimal(market.last - day_ago) / day_ago if day_ago else Decimal(0)
    interest = market.open_interest * market.step
    bid, ask = market.book.bids.levels(1), market.book.asks.levels(1)

    def side(levels: list[tuple[int, int]]) -> tuple[str, str]:
        return (market.feed_price(levels[0][0]), market.feed_qty(levels[0][1])) if levels else ("", "")

    bid_price, bid_size = side(bid)
    ask_price, ask_size = side(ask)
    return {
        "symbol": market.symbol,
        "tickDirection": market.tick_direction,
        "price24hPcnt": f"{change:.6f}",
        "lastPrice": market.feed_price(market.last),
        "prevPrice24h": market.feed_price(day_ago),
        "highPrice24h": market.feed_price(high),
        "lowPrice24h": market.feed_price(low),
        "prevPrice1h": market.feed_price(hour_ago),
        "markPrice": market.reference_text(market.mark),
        "indexPrice": market.reference_text(market.index),
        "openInterest": plain(interest),
        "openInterestValue": f"{interest * market.mark:.2f}",
        "turnover24h": f"{turnover * market.unit:.4f}",
        "volume24h": f"{volume * market.step:.4f}",
        "fundingIntervalHour": str(spec.funding_interval_min // 60),
        "fundingCap": plain(spec.funding_cap),
        "singleOpenInterest": plain(interest / 2),
        "singleOpenInterestValue": f"{interest * market.mark / 2:.2f}",
        "nextFundingTime": str(market.next_funding_ms),
        "fundingRate": eight(market.funding_rate),
        "bid1Price": bid_price,
        "bid1Size": bid_size,
        "ask1Price": ask_price,
        "ask1Size": ask_size,
        "preOpenPrice": "",
        "preQty": "",
        "curPreListingPhase": "",
    }


_REST_ONLY = ("predictedDeliveryPrice", "basisRate", "basis", "basisRateYear", "deliveryFeeRate")


def tickers(core: Core, params: Params) -> Row:
    category = read.category(params)
    symbol, base = read.text(params, "symbol"), read.text(params, "baseCoin")
    if category != "linear":
        if symbol:
            raise unknown_symbol()
        return {"category": category, "list": []}
    if symbol and symbol not in core.markets:
        raise unknown_symbol()
    items: list[Row] = []
    for name in [symbol] if symbol else sorted(core.markets):
        market = core.markets[name]
        if base and market.spec.base_coin != base:
            continue
        row = ticker(core, market)
        del row["tickDirection"]
        items.append(row | dict.fromkeys(_REST_ONLY, "") | {"deliveryTime": "0"})
    return {"category": category, "list": items}


def trade_item(core: Core, market: Market, item: Print) -> Row:
    """As the publicTrade topic prints it."""
    return {
        "T": item.time_ms,
        "s": market.symbol,
        "S": SIDE_TEXT[item.side],
        "v": market.feed_qty(item.qty),
        "p": market.feed_price(item.price),
        "L": item.tick_direction,
        "i": core.trade_ids.at(item.number),
        "BT": False,
        "RPI": False,
        "seq": item.seq,
    }


def recent_trade(core: Core, params: Params) -> Row:
    market = market_of(core, params)
    limit = read.limit(params, 1, 1000, 500)
    newest = list(market.prints)[::-1][:limit]
    items: list[Row] = [
        {
            "execId": core.trade_ids.at(item.number),
            "symbol": market.symbol,
            "price": market.feed_price(item.price),
            "size": market.feed_qty(item.qty),
            "side": SIDE_TEXT[item.side],
            "time": str(item.time_ms),
            "isBlockTrade": False,
            "isRPITrade": False,
            "seq": str(item.seq),
        }
        for item in newest
    ]
    return {"category": "linear", "list": items}


# -- funding, interest ------------------------------------------------------------------------------------------
def funding_history(core: Core, params: Params) -> Row:
    market = market_of(core, params)
    limit = read.limit(params, 1, 200, 200)
    start, end = read.integer(params, "startTime"), read.integer(params, "endTime")
    if start is not None and end is None:
        raise bad_parameter("endTime is required with startTime")
    chosen = [
        (ms, rate)
        for ms, rate in reversed(market.fundings)
        if (start is None or ms >= start) and (end is None or ms <= end)
    ][:limit]
    return {
        "category": "linear",
        "list": [
            {"symbol": market.symbol, "fundingRate": eight(rate), "fundingRateTimestamp": str(ms)}
            for ms, rate in chosen
        ],
    }


def _at_multiples[T](
    params: Params, name: str, rows: list[tuple[int, T]], most: int
) -> tuple[list[tuple[int, T]], str]:
    """Rows at multiples of the period named by `name`, newest first, and the cursor to the next."""
    length = _PERIODS_MS.get(read.required(params, name))
    if length is None:
        raise bad_parameter(f"{name} invalid")
    limit = read.limit(params, 1, most, 50)
    start, end = read.integer(params, "startTime"), read.integer(params, "endTime")
    cursor = read.text(params, "cursor")
    if cursor.isdecimal() and len(cursor) < 15:
        end = int(cursor) - 1
    chosen = [
        row
        for row in reversed(rows)
        if row[0] % length == 0 and (start is None or row[0] >= start) and (end is None or row[0] <= end)
    ]
    shown = chosen[:limit]
    return shown, str(shown[-1][0]) if len(chosen) > limit else ""


def open_interest(core: Core, params: Params) -> Row:
    market = market_of(core, params)
    shown, following = _at_multiples(params, "intervalTime", market.interest_rows, 200)
    items = [
        {
            "openInterest": plain(steps * market.step),
            "singleOpenInterest": plain(steps * market.step / 2),
            "timestamp": str(ms),
        }
        for ms, steps in shown
    ]
    return {"symbol": market.symbol, "category": "linear", "list": items, "nextPageCursor": following}


def account_ratio(core: Core, params: Params) -> Row:
    """Of takers, not of accounts: the venue does not know the others."""
    market = market_of(core, params)
    shown, following = _at_multiples(params, "period", market.ratio_rows, 500)
    items = [
        {"symbol": market.symbol, "buyRatio": f"{share:.4f}", "sellRatio": f"{1 - share:.4f}", "timestamp": str(ms)}
        for ms, share in shown
    ]
    return {"list": items, "nextPageCursor": following}
