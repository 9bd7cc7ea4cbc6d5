"""Tape, order-book log, funding and roll-ups."""

from dataclasses import replace
from decimal import Decimal

import pytest

from avigrid.kernel.market import BookUpdate, PublicTrade
from marketdata.models import KlineSource
from marketdata.selectors.funding import funding_rates
from marketdata.selectors.order_book_log import order_book_updates
from marketdata.selectors.public_trades import newest_trade_ms, public_trades
from marketdata.selectors.rollups import RollupDifference, rollup_differences
from marketdata.services.funding import funding_refresh
from marketdata.services.klines import klines_bulk_store
from marketdata.services.order_book_log import order_book_log_store
from marketdata.services.public_trades import public_trades_store
from marketdata.services.rollups import rollups_refresh
from tests.support.bars import T0, saw_table
from tests.support.market_reader import FakeMarketReader

pytestmark = pytest.mark.django_db
DAY_MS = 86_400_000
TRADES = [PublicTrade("BTCUSDT", f"id-{n}", T0 + n, 100.0 + n, 0.5, n % 2 == 0, seq=n) for n in range(5)]


def test_trades_are_stored_once_and_read_in_market_order():
    assert public_trades_store(TRADES[3:]) == 2
    assert public_trades_store(TRADES) == 3
    assert public_trades_store([]) == 0
    assert list(public_trades("BTCUSDT", T0, T0 + DAY_MS)) == TRADES
    assert list(public_trades("BTCUSDT", T0 + 1, T0 + 3)) == TRADES[1:3]
    assert newest_trade_ms("BTCUSDT") == T0 + 4
    assert newest_trade_ms("ETHUSDT") is None


def test_the_order_book_log_gives_back_every_message():
    snapshot = BookUpdate("BTCUSDT", 50, True, ((100.0, 1.5), (99.9, 2.0)), ((100.1, 0.25),), 7, 70, T0, T0 + 2)
    delta = BookUpdate("BTCUSDT", 50, False, ((100.0, 0.0),), (), 8, 71, T0 + 20, T0 + 22)
    later = replace(snapshot, update_id=9, matched_ms=T0 + 5000)
    assert order_book_log_store([snapshot, delta])
    assert not order_book_log_store([snapshot, delta])
    order_book_log_store([later])
    assert list(order_book_updates("BTCUSDT", T0, T0 + 10_000)) == [snapshot, delta, later]
    assert list(order_book_updates("BTCUSDT", T0 + 1000, T0 + 10_000)) == [later]
    with pytest.raises(ValueError, match="snapshot"):
        order_book_log_store([delta])


def test_funding_continues_from_the_newest_rate():
    reader = FakeMarketReader()
    reader.funding = [(T0 + n * 8 * 3_600_000, Decimal("0.0001") * n) for n in range(4)]
    assert funding_refresh(reader=reader, symbol="BTCUSDT", now_ms=T0 + 9 * 3_600_000) == 2
    assert funding_refresh(reader=reader, symbol="BTCUSDT", now_ms=T0 + DAY_MS + 1) == 2
    assert funding_rates("BTCUSDT", T0, T0 + 2 * DAY_MS) == reader.funding


@pytest.mark.django_db(transaction=True)  # a continuous aggregate is refreshed outside of any transaction
def test_rollups_agree_with_the_venues_own_bars_or_say_where_not():
    now_ms = T0 + DAY_MS
    klines_bulk_store(saw_table(14), source=KlineSource.REST, now_ms=now_ms)
    # the saw's closes: 101 102 103 | 104 105 106 | 100 101 102 | 103 104 105
    own = saw_table(4, interval_min=15)
    own = replace(
        own,
        open=own.open * 0 + [100.0, 103.0, 106.0, 102.0],
        high=own.open * 0 + [103.5, 106.5, 106.5, 105.5],
        low=own.open * 0 + [99.75, 102.75, 99.75, 101.75],
        close=own.open * 0 + [103.0, 106.0, 102.0, 104.5],
        volume=own.open * 0 + [6.0, 10.0, 9.0, 8.0],
    )
    klines_bulk_store(own, source=KlineSource.REST, now_ms=now_ms)
    for _ in range(2):
        rollups_refresh(start_ms=T0 + 60_000, end_ms=T0 + 3_600_000)
    compared, differences = rollup_differences("BTCUSDT", 15, T0, now_ms)
    # close of bar 11 is 100 + 12 % 7 = 105
    assert (compared, differences) == (4, [RollupDifference(T0 + 45 * 60_000, "close", -0.5)])
