"""The book: what it trusts, what ends that trust, and its figures against a plain dictionary."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from avigrid.exchange.bybit.orderbook import Fault, OrderBook
from avigrid.kernel.market import BookUpdate

Levels = tuple[tuple[float, float], ...]


def update(update_id: int, bids: Levels = (), asks: Levels = (), *, snapshot: bool = False) -> BookUpdate:
    return BookUpdate(
        "BTCUSDT", 50, snapshot, bids, asks, update_id, update_id * 10, update_id * 100, update_id * 100 + 2
    )


def ready(
    bids: Levels = ((100.0, 1.0), (99.0, 2.0)), asks: Levels = ((101.0, 3.0), (102.0, 4.0)), update_id: int = 5
) -> OrderBook:
    book = OrderBook("BTCUSDT")
    assert book.apply(update(update_id, bids, asks, snapshot=True)) is None
    return book


def test_snapshot_then_insert_replace_and_delete() -> None:
    book = ready()
    assert book.apply(update(6, ((99.5, 7.0), (99.0, 0.0)), ((101.0, 9.0),))) is None
    assert book.bids() == [(100.0, 1.0), (99.5, 7.0)]
    assert book.asks() == [(101.0, 9.0), (102.0, 4.0)]
    assert (book.best_bid, book.best_ask, book.mid) == (100.0, 101.0, 100.5)
    assert (book.update_id, book.seq, book.matched_ms, book.sent_ms) == (6, 60, 600, 602)
    assert book.bids(1) == [(100.0, 1.0)]
    assert book.asks(1) == [(101.0, 9.0)]


@pytest.mark.parametrize(
    ("delta", "fault"),
    [
        (update(7), Fault.GAP),
        (update(5), Fault.GAP),
        (update(1), Fault.RESTART),
        (update(6, ((98.0, 0.0),)), Fault.UNKNOWN_DELETE),
        (update(6, (), ((103.0, 0.0),)), Fault.UNKNOWN_DELETE),
        (update(6, ((101.0, 1.0),)), Fault.CROSSED),
        (update(6, (), ((100.0, 1.0),)), Fault.CROSSED),
    ],
)
def test_doubt_ends_trust_until_the_next_snapshot(delta: BookUpdate, fault: Fault) -> None:
    book = ready()
    assert book.apply(delta) is fault
    assert not book.is_ready
    assert book.faults == {fault: 1}
    assert book.features(1) is None
    assert book.apply(update(8, ((100.0, 1.0),))) is None
    assert not book.is_ready
    assert book.apply(update(20, ((50.0, 1.0),), ((51.0, 1.0),), snapshot=True)) is None
    assert book.is_ready
    assert book.bids() == [(50.0, 1.0)]


def test_a_snapshot_may_come_at_any_time_and_a_restart_is_counted() -> None:
    book = ready()
    assert book.apply(update(90, ((10.0, 1.0),), ((11.0, 1.0),), snapshot=True)) is None
    assert not book.faults
    assert book.apply(update(1, ((20.0, 1.0),), ((21.0, 1.0),), snapshot=True)) is None
    assert book.faults == {Fault.RESTART: 1}
    assert book.best_bid == 20.0
    assert book.apply(update(2, ((20.0, 0.0), (19.0, 1.0)))) is None


def top(seq: int, bid: float, ask: float) -> BookUpdate:
    return BookUpdate("BTCUSDT", 1, True, ((bid, 1.0),), ((ask, 1.0),), 3, seq, 0, 0)


@pytest.mark.parametrize(("bid", "ask"), [(100.5, 101.0), (100.0, 100.5)])
def test_other_best_prices_at_the_same_moment_end_trust(bid: float, ask: float) -> None:
    book = ready()
    assert book.check_top(top(50, bid, ask)) is Fault.TOP_DIFFERS
    assert (book.is_ready, book.faults[Fault.TOP_DIFFERS]) == (False, 1)
    assert book.check_top(top(50, bid, ask)) is None


@pytest.mark.parametrize(("seq", "bid", "ask"), [(50, 100.0, 101.0), (49, 1.0, 2.0), (51, 1.0, 2.0)])
def test_a_witness_that_agrees_or_speaks_of_another_moment(seq: int, bid: float, ask: float) -> None:
    book = ready()
    assert book.check_top(top(seq, bid, ask)) is None
    assert book.is_ready


def test_a_crossed_snapshot_is_not_believed() -> None:
    book = OrderBook("BTCUSDT")
    assert book.apply(update(5, ((101.0, 1.0),), ((100.0, 1.0),), snapshot=True)) is Fault.CROSSED
    assert not book.is_ready


def test_levels_may_swap_sides_within_one_delta() -> None:
    book = ready()
    assert book.apply(update(6, ((101.0, 5.0),), ((101.0, 0.0),))) is None
    assert (book.best_bid, book.best_ask) == (101.0, 102.0)


def test_figures() -> None:
    book = ready()
    assert book.imbalance(1) == pytest.approx((1 - 3) / (1 + 3))
    assert book.imbalance() == pytest.approx((3 - 7) / 10)
    assert book.microprice() == pytest.approx((101 * 1 + 100 * 3) / 4)
    assert book.spread_bps == pytest.approx(1 / 100.5 * 10_000)
    assert book.depth_usd() == 0.0  # nothing lies within 10 bps of 100.5
    features = book.features(77)
    assert features is not None
    assert (features.symbol, features.time_ms, features.mid) == ("BTCUSDT", 77, 100.5)
    assert features.imbalance == pytest.approx(-0.4)


def test_depth_takes_ten_basis_points_of_each_side() -> None:
    book = ready(((9999.5, 2.0), (9990.5, 3.0), (9989.0, 100.0)), ((10000.5, 1.0), (10009.5, 4.0), (10011.0, 100.0)))
    assert book.mid == 10000.0
    assert book.depth_usd() == pytest.approx(9999.5 * 2 + 9990.5 * 3 + 10000.5 + 10009.5 * 4)


def test_an_empty_side_has_no_figures() -> None:
    book = ready(((100.0, 1.0),), ())
    assert math.isnan(book.microprice())
    assert book.imbalance() == 1.0
    assert book.features(1) is None


PRICE = st.integers(1, 40)
SIZE = st.integers(1, 9).map(float)


@given(st.data())
def test_agrees_with_a_plain_dictionary(data: st.DataObject) -> None:
    bids = data.draw(st.dictionaries(PRICE.map(float), SIZE, min_size=1))
    asks = data.draw(st.dictionaries(PRICE.map(lambda tick: 100.0 + tick), SIZE, min_size=1))
    book = ready(tuple(bids.items()), tuple(asks.items()))
    for step in range(data.draw(st.integers(1, 12))):
        changes: list[list[tuple[float, float]]] = []
        for side, offset in ((bids, 0.0), (asks, 100.0)):
            wanted = data.draw(st.dictionaries(PRICE.map(lambda tick, base=offset: base + tick), SIZE, max_size=4))
            gone = data.draw(st.sets(st.sampled_from(sorted(side)), max_size=3)) if side else set()
            changes.append([*wanted.items(), *((price, 0.0) for price in gone if price not in wanted)])
            side.update(wanted)
            for price in gone - wanted.keys():
                del side[price]
        assert book.apply(update(6 + step, tuple(changes[0]), tuple(changes[1]))) is None
    assert book.bids() == sorted(bids.items(), reverse=True)
    assert book.asks() == sorted(asks.items())
    top_bids, top_asks = sorted(bids.items(), reverse=True)[:3], sorted(asks.items())[:3]
    b, a = sum(size for _, size in top_bids), sum(size for _, size in top_asks)
    if b + a:
        assert book.imbalance(3) == pytest.approx((b - a) / (b + a))
