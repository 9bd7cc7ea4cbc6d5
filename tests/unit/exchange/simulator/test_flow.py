"""The lean of a replayed book is the bar stand-in for imbalance of a strategy that has no book."""

from avigrid.exchange.simulator.sources.flow import Flow


def play(flow: Flow, open_price: float, *trades: tuple[float, float]) -> None:
    flow.begin(open_price)
    for price, quantity in trades:
        flow.trade(price, quantity)
    flow.end()


def test_three_bars_weigh_by_volume() -> None:
    flow = Flow()
    play(flow, 100.0, (110.0, 4.0), (90.0, 4.0), (105.0, 2.0))  # volume 10, close at (15 - 5) / 20 = +0.5
    play(flow, 105.0, (106.0, 1.0), (102.0, 3.0), (102.0, 1.0))  # volume 5, close on the low: -1
    play(flow, 102.0, (104.0, 2.0), (103.0, 3.0))  # volume 5, close in the middle: 0
    assert flow.lean == 0.0  # (10 * 0.5 - 5 * 1.0 + 0) / 20
    play(flow, 103.0, (107.0, 10.0))  # volume 10, close on the high: +1; the first bar is forgotten
    assert flow.lean == 0.25  # (-5 + 0 + 10) / 20


def test_only_the_last_three_bars_count_and_a_flat_bar_adds_nothing() -> None:
    flow = Flow()
    play(flow, 100.0, (110.0, 1000.0))
    for _ in range(3):
        play(flow, 110.0, (110.0, 7.0))
    assert flow.lean == 0.0


def test_lean_never_knows_the_rest_of_the_bar() -> None:
    rising, falling = Flow(), Flow()
    for flow in (rising, falling):
        flow.begin(100.0)
        flow.trade(101.0, 1.0)
    before = rising.lean
    rising.trade(120.0, 5.0)
    falling.trade(80.0, 5.0)
    assert before == 0.9  # buyers only so far, capped
    assert rising.lean == 0.9
    assert falling.lean == -0.9
