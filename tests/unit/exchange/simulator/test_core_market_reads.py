"""Public answers: instruments, tiers, band, tickers, trades, books, open interest."""

from decimal import Decimal

from tests.support.simulated_venue import START_MS, Floor

D = Decimal
LINEAR = {"category": "linear"}


def test_prices_on_the_feed_are_padded_and_private_ones_are_not() -> None:
    floor = Floor(symbol="SOLUSDT", price="150")
    assert floor.venue.orderbook(floor.body())["b"][0] == ["149.990", "10.0"]
    order_id = floor.limit("Buy", "0.1", "149.5")
    assert (floor.order(order_id)["price"], floor.order(order_id)["qty"]) == ("149.5", "0.1")


def test_book_views_move_their_version_only_with_the_book() -> None:
    floor = Floor()
    version = floor.venue.book_version("BTCUSDT")
    floor.mark("50010")
    assert floor.venue.book_version("BTCUSDT") == version
    order_id = floor.limit("Buy", "0.01", "49000")
    moved = floor.venue.book_version("BTCUSDT")
    assert moved > version
    floor.venue.cancel_order(floor.body(orderId=order_id))
    assert floor.venue.book_version("BTCUSDT") > moved
    view = floor.venue.book("BTCUSDT", 3)
    assert [len(view.bids), len(view.asks)] == [3, 3]
    assert D(view.bids[0][0]) < D(view.asks[0][0])


def test_depth_counts_our_levels_too() -> None:
    floor = Floor()
    floor.book({"49990": "1", "49970": "1"}, {"50010": "1"})
    for price in ("49995", "49980"):
        floor.limit("Buy", "0.01", price)
    rows = floor.venue.orderbook(floor.body(limit="3"))["b"]
    assert [row[0] for row in rows] == ["49995.00", "49990.00", "49980.00"]


def test_instruments_by_symbol_base_and_page() -> None:
    venue = Floor().venue
    assert [row["symbol"] for row in venue.instruments_info(LINEAR)["list"]] == ["BTCUSDT", "SOLUSDT"]
    assert [row["symbol"] for row in venue.instruments_info(LINEAR | {"baseCoin": "SOL"})["list"]] == ["SOLUSDT"]
    first = venue.instruments_info(LINEAR | {"limit": "1"})
    second = venue.instruments_info(LINEAR | {"limit": "1", "cursor": first["nextPageCursor"]})
    assert [row["symbol"] for row in first["list"] + second["list"]] == ["BTCUSDT", "SOLUSDT"]
    assert second["nextPageCursor"] == ""
    assert venue.instruments_info(LINEAR | {"status": "PreLaunch"})["list"] == []


def test_a_ticker_sums_the_day() -> None:
    floor = Floor()
    floor.trade("Buy", "50100", "0.5")
    floor.trade("Sell", "49900", "0.25")
    floor.venue.advance(START_MS + 3_600_000)
    floor.trade("Buy", "50200", "0.25")
    row = floor.venue.ticker("BTCUSDT")
    assert (row["volume24h"], row["turnover24h"]) == ("1.0000", "50075.0000")
    assert (row["highPrice24h"], row["lowPrice24h"]) == ("50200.00", "49900.00")
    assert (row["prevPrice1h"], row["prevPrice24h"]) == ("49900.00", "50100.00")
    assert row["price24hPcnt"] == "0.001996"
    floor.quote("50000")
    row = floor.venue.ticker("BTCUSDT")
    assert (row["bid1Price"], row["bid1Size"]) == ("49999.90", "10.000")
    floor.venue.advance(START_MS + 26 * 3_600_000)
    assert floor.venue.ticker("BTCUSDT")["volume24h"] == "0.0000"


def test_recent_trades_newest_first_with_text_fields() -> None:
    floor = Floor()
    for price in ("50001", "50002"):
        floor.trade("Buy", price, "0.1")
    rows = floor.venue.recent_trade(floor.body(limit="1"))["list"]
    assert [row["price"] for row in rows] == ["50002.00"]
    assert isinstance(rows[0]["seq"], str)
    assert isinstance(rows[0]["time"], str)
    ids = [row["i"] for row in floor.venue.drain_trades()]
    assert ids[-1] == rows[0]["execId"]
    assert len(set(ids)) == len(ids)


def test_open_interest_moves_with_us_and_pages() -> None:
    floor = Floor()
    before = D(floor.venue.ticker("BTCUSDT")["openInterest"])
    floor.market("Buy", "0.5")
    assert D(floor.venue.ticker("BTCUSDT")["openInterest"]) - before == D("0.5")
    floor.venue.advance(START_MS + 3_600_000)
    first = floor.venue.open_interest(floor.body(intervalTime="5min", limit="5"))
    rest = floor.venue.open_interest(floor.body(intervalTime="5min", cursor=first["nextPageCursor"]))
    stamps = [int(row["timestamp"]) for row in first["list"] + rest["list"]]
    assert stamps == sorted(stamps, reverse=True)
    assert all(stamp % 300_000 == 0 for stamp in stamps)
    assert len(set(stamps)) == 12


def test_buyers_and_sellers_share() -> None:
    floor = Floor()
    floor.trade("Buy", "50001", "3")
    floor.trade("Sell", "49999", "1")
    floor.venue.advance(START_MS + 600_000)
    rows = floor.venue.account_ratio(floor.body(period="5min"))["list"]
    assert [(row["buyRatio"], row["sellRatio"]) for row in rows][-1] == ("0.7500", "0.2500")


def test_best_bid_offer_orders_take_their_price_from_the_book() -> None:
    floor = Floor()
    queue = floor.order(floor.limit("Buy", "0.01", "1", bboSideType="Queue", bboLevel="3"))
    assert (queue["price"], queue["orderStatus"]) == ("49999.7", "New")
    counter = floor.order(floor.limit("Buy", "0.01", "1", bboSideType="Counterparty", bboLevel="1"))
    assert (counter["avgPrice"], counter["orderStatus"]) == ("50000.1", "Filled")


def test_slippage_tolerance_narrows_a_market_order() -> None:
    floor = Floor()
    floor.book({"49990": "1"}, {"50010": "0.001", "50012": "0.001", "50020": "1"})
    order = floor.order(floor.market("Buy", "0.01", slippageToleranceType="TickSize", slippageTolerance="20"))
    assert (order["cumExecQty"], order["orderStatus"], order["price"]) == ("0.002", "Cancelled", "50012")
    assert (order["slippageToleranceType"], order["slippageTolerance"]) == ("TickSize", "20")


def test_a_trade_beyond_everything_shown_leaves_a_book_behind() -> None:
    floor = Floor()
    floor.trade("Buy", "50500", "0.1")
    book = floor.venue.orderbook(floor.body())
    assert book["a"] == [["50500.10", "10.000"]]
    assert book["b"][0] == ["49999.90", "10.000"]


def test_two_runs_are_the_same_bytes_and_two_seeds_are_not() -> None:
    def ids(seed_floor: Floor) -> list[str]:
        return [seed_floor.market("Buy", "0.01"), seed_floor.executions()[0]["execId"]]

    assert ids(Floor()) == ids(Floor())
    assert len(set(ids(Floor()))) == 2
