"""The modelled venue, bar by bar, on prices written out here. Long swing: entry 1000, stop 920, exits 1080 and on."""

import math
from dataclasses import replace
from decimal import Decimal

import pytest

from avigrid.kernel.instrument import FeeRates
from tests.unit.trading.avi5.builders import instrument, spec
from tests.unit.trading.avi5.test_decide import DEEP, judge
from trading.avi5.config import Profile, StrategyConfig
from trading.backtest.plan_run import PlanRun
from trading.backtest.result import BacktestSettings, PlanResult
from trading.backtest.track import Track

D = Decimal
START = 1_758_715_200_000
Row = tuple[float, float, float, float]
QUIET: Row = (1000.0, 1001.0, 999.5, 1000.0)


def play(
    rows: list[Row],
    *,
    direction: int = 1,
    config: StrategyConfig | None = None,
    slippage_bps: float = 0.0,
    funding: dict[int, float] | None = None,
    trend: int | None = None,
    max_market: str = "500",
) -> PlanResult:
    """`rows`: open, high, low, close; the first is the bar after the decision. Fees: taker 0.1 %, maker 0.02 %."""
    config = config or StrategyConfig()
    count = len(rows)
    start = [START + 300_000 * i for i in range(count)]
    columns = [list(column) for column in zip(*rows, strict=True)]
    rates = funding or {}
    track = Track(
        start_ms=start,
        end_ms=[s + 300_000 for s in start],
        open=columns[0],
        high=columns[1],
        low=columns[2],
        close=columns[3],
        trend=[trend if trend is not None else direction] * count,
        slippage_bps=[slippage_bps] * count,
        bar_of=list(range(count)),
        first_of=list(range(count + 1)),
        funding_at=sorted(rates),
        funding_rate=[rates[k] for k in sorted(rates)],
        funding_missing=0,
    )
    decision = judge(book=DEEP)
    decision = replace(decision, indicators=replace(decision.indicators, close=1000.0, trend=direction))
    run = PlanRun(
        number=1,
        decision=decision,
        spec=spec(direction, config=config, filters=instrument(max_market=max_market)),
        track=track,
        first=0,
        config=config,
        settings=BacktestSettings(fees=FeeRates(D("0.001"), D("0.0002"))),
    )
    return run.run()


def exits(result: PlanResult) -> list[tuple[int, str, Decimal, Decimal]]:
    """(bar, why, price, quantity)"""
    return [((leg.exit_ms - START) // 300_000, leg.exit, leg.exit_price, leg.quantity) for leg in result.legs]


def test_entry_at_the_open_with_slippage_rounded_against_us() -> None:
    """1000.3 * 1.0002 = 1000.50006, up to the tick: 1000.6."""
    result = play([(1000.3, 1001, 999, 1000), (1000, 1000, 900, 910)], slippage_bps=2.0)
    assert result.legs[0].entry_price == D("1000.6")


def test_beyond_its_limit_the_first_order_does_not_fill() -> None:
    """10 bps over 1000 is 1001.0; opening at 1001.1 is too far, and so is 1000 slipped by 17 bps."""
    for rows, slip in (([(1001.1, 1002, 999, 1000)], 0.0), ([QUIET], 17.0)):
        result = play(rows, slippage_bps=slip)
        assert (result.reason, result.status, result.legs) == ("underfill", "failed_underfill", ())
    assert play([(1001.0, 1002, 999, 1000)]).is_traded


def test_a_take_profit_needs_the_price_to_trade_through_it() -> None:
    touched = play([QUIET, (1000, 1080.0, 999, 1070)])
    assert [e[1] for e in exits(touched)] == ["end_of_data"]
    through = play([QUIET, (1000, 1080.1, 999, 1070)])
    assert exits(through)[0] == (1, "take_profit", D("1080.0"), D("0.616"))


def test_nothing_fills_in_the_bar_in_which_it_was_placed() -> None:
    """The entry fills at the open of bar 0; its exits rest from bar 1 on, whatever bar 0 reaches."""
    result = play([(1000, 1300, 999, 1000), QUIET])
    assert [e[1] for e in exits(result)] == ["end_of_data"]


def test_the_stop_stands_at_once_and_goes_before_a_take_profit() -> None:
    same_bar = play([(1000, 1300, 919, 1000), QUIET])
    assert exits(same_bar) == [(0, "stop", D("920.0"), D("1.233"))]
    both = play([QUIET, (1000, 1300, 920, 1250)])
    assert exits(both) == [(1, "stop", D("920.0"), D("1.233"))]


def test_a_gap_through_the_stop_fills_from_the_open() -> None:
    """Opening at 900: 900 less 2 bps is 899.82, down to the tick: 899.8."""
    result = play([QUIET, (900, 905, 890, 895)], slippage_bps=2.0)
    assert exits(result)[0][2] == D("899.8")
    assert result.slippage_usd == D("1.233") * ((D(920) - D("899.8")) + D("0.2"))


def test_fees_gross_and_net_by_hand() -> None:
    """In 1000 out 920 on 1.233: gross -98.64; fees 0.1 % of both sides 2.36736."""
    result = play([QUIET, (1000, 1000, 915, 916)])
    assert (result.gross_usd, result.fees_usd) == (D("-98.640"), D("2.36736"))
    assert result.net_usd == D("-101.00736")
    assert result.r == pytest.approx(-1.0100736)


def test_a_take_profit_pays_the_maker_fee() -> None:
    result = play([QUIET, (1000, 1080.1, 999, 1070), (1070, 1070, 1000.0, 1000.1)])
    first = result.legs[0]
    assert first.fees_usd == D("0.616") * (D(1000) * D("0.001") + D(1080) * D("0.0002"))


def test_break_even_works_from_the_next_bar_on() -> None:
    """After TP1 the stop is 1001.1 (fees of the spec: 0.11 %); the same bar's low of 1000 no longer matters."""
    result = play([QUIET, (1000, 1081, 1000, 1070), (1070, 1071, 1001.1, 1050)])
    assert [e[:3] for e in exits(result)] == [(1, "take_profit", D("1080.0")), (2, "stop", D("1001.1"))]


def test_a_short_is_the_mirror_image() -> None:
    result = play(
        [(1000, 1000.5, 999, 1000), (1000, 1001, 919.9, 930), (930, 998.9, 929, 950)], direction=-1, slippage_bps=0.0
    )
    assert [e[:3] for e in exits(result)] == [(1, "take_profit", D("920.0")), (2, "stop", D("998.9"))]
    assert result.legs[0].gross_usd == D("0.616") * 80


def test_funding_is_paid_on_what_was_held_before() -> None:
    """At bar 2's open of 1010: 1.233 * 1010 * 0.0001; at bar 0 nothing is held yet."""
    rows = [QUIET, QUIET, (1010, 1011, 1009, 1010), QUIET]
    result = play(rows, funding={0: 0.5, 2: 0.0001})
    assert result.funding_usd == D("1.233") * D("1010.0") * D("0.0001")
    short = play(rows, direction=-1, funding={2: 0.0001})
    assert short.funding_usd < 0


def test_time_exit_closes_at_the_next_open() -> None:
    config = StrategyConfig(time_exit_ms=900_000)
    result = play([QUIET, QUIET, QUIET, (1005, 1006, 1004, 1005)], config=config)
    assert exits(result) == [(3, "time", D("1005.0"), D("1.233"))]
    assert result.reason == "time"
    assert result.closed_ms == START + 3 * 300_000


def test_a_close_in_market_sized_pieces_is_one_close() -> None:
    config = StrategyConfig(time_exit_ms=600_000)
    rows = [QUIET, QUIET, (1005, 1006, 1004, 1005), QUIET]
    result = play(rows, config=config, max_market="0.5")
    assert exits(result) == [(2, "time", D("1005.0"), D(size)) for size in ("0.5", "0.5", "0.233")]


def test_open_at_the_end_of_data_is_sold_at_the_last_close() -> None:
    result = play([QUIET, (1000, 1001, 999, 1000.7)], slippage_bps=1.0)
    assert exits(result) == [(1, "end_of_data", D("1000.5"), D("1.233"))]


GRID = StrategyConfig(profile=Profile.GRID)


def test_a_rung_and_its_exit_never_fill_in_one_bar() -> None:
    """Rungs 990, 980 ...; rung 1's exit at 1000. Bar 1 falls through 990 and rises to 1009: only the entry counts."""
    result = play(
        [QUIET, (1000, 1009, 989.9, 1005), (1005, 1005, 1000.05, 1002), (1002, 1009.9, 1001, 1005)], config=GRID
    )
    sold = [(leg.rung, e[0], e[1]) for leg, e in zip(result.legs, exits(result), strict=True)]
    assert sold[0] == (1, 2, "take_profit")


def test_a_rung_needs_the_price_to_trade_through_it() -> None:
    touched = play([QUIET, (1000, 1001, 990.0, 995)], config=GRID)
    assert [leg.rung for leg in touched.legs] == [0]
    through = play([QUIET, (1000, 1001, 989.9, 995)], config=GRID)
    assert [leg.rung for leg in through.legs] == [0, 1]


def test_a_fall_through_everything_fills_every_rung_and_stops_them_all() -> None:
    """All rungs at their price, all out at 880: about one R in all, fees included."""
    result = play([QUIET, (1000, 1000, 870, 875)], config=GRID)
    assert [leg.entry_price for leg in result.legs] == [D("1000.0"), D(990), D(980), D(970), D(960)]
    assert {leg.exit_price for leg in result.legs} == {D("880.0")}
    assert -1.06 < result.r < -0.9


def test_a_sold_rung_trades_again_and_is_reported_by_cycle() -> None:
    up: Row = (1000, 1010.1, 999.95, 1005)
    down: Row = (1005, 1006, 999.9, 1001)
    result = play([QUIET, up, down, up, down, (1001, 1001, 1000.5, 1000.6)], config=GRID)
    assert [(leg.rung, leg.cycle, leg.exit) for leg in result.legs][:2] == [
        (0, 0, "take_profit"),
        (0, 1, "take_profit"),
    ]


def test_the_trend_turning_keeps_rungs_from_filling() -> None:
    result = play([QUIET, QUIET, (1000, 1001, 940, 950)], config=GRID, trend=-1)
    assert [leg.rung for leg in result.legs] == [0]


@pytest.mark.parametrize("profile", list(Profile))
def test_results_are_finite(profile: Profile) -> None:
    result = play([QUIET] * 5, config=StrategyConfig(profile=profile))
    assert math.isfinite(result.r)
