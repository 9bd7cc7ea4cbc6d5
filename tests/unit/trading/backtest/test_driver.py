"""The replay as a whole: what it reads, when it may decide, that its equity adds up, that nothing leaks."""

from dataclasses import replace

import numpy as np
import pytest

from avigrid.kernel.errors import InvalidCandle
from avigrid.kernel.instrument import FeeRates
from tests.unit.trading.backtest.synthetic import START_MS, bars, filters, market
from trading.avi5.config import Profile, StrategyConfig
from trading.avi5.window import BAR_5M_MS, Bars
from trading.backtest import bias
from trading.backtest.bias import check_lookahead, check_warm_up
from trading.backtest.data import EmptyRange, MarketData, aggregate, between, prepare
from trading.backtest.driver import decisions_of, run_backtest
from trading.backtest.metrics import measure
from trading.backtest.series import IndicatorSeries, MissingWarmUp, candidates, indicator_series

LOOSE = StrategyConfig(theta=0.1, max_cost_r=1.0, max_slippage_bps=60.0)


@pytest.mark.parametrize("profile", list(Profile))
def test_equity_ends_where_the_trades_do(profile: Profile) -> None:
    result = run_backtest(market(), LOOSE.replaced({"profile": profile.value}), instrument=filters())
    traded = [plan for plan in result.plans if plan.is_traded]
    assert len(traded) >= 5
    assert result.equity_usd[-1] == pytest.approx(float(sum(plan.net_usd for plan in traded)))
    for plan in result.plans:
        legs = {}
        for leg in plan.legs:
            legs.setdefault((leg.rung, leg.cycle), []).append(leg)
        assert plan.closed_ms >= plan.decided_ms
        assert all(leg.exit_ms >= leg.entry_ms >= plan.decided_ms for leg in plan.legs)


def test_plans_never_overlap_and_losses_stay_near_1r() -> None:
    result = run_backtest(market(8000, seed=3), LOOSE, instrument=filters())
    for before, after in zip(result.plans, result.plans[1:], strict=False):
        assert after.decided_ms >= before.closed_ms - BAR_5M_MS
    assert min(plan.r for plan in result.plans) > -1.5  # a gap or slippage may cost more than the plan, never far more


@pytest.mark.parametrize("books", [{}, {"book_share": 0.7, "stale_share": 0.2}], ids=["bars", "books"])
def test_the_screen_lets_through_exactly_what_decide_calls_a_signal(books: dict[str, float]) -> None:
    data = market(3000, seed=5, **books)
    config = StrategyConfig(theta=0.05, max_cost_r=0.3, dead_hours=(3, 4), theta_by_hour={12: 0.6})
    screen = candidates(data, indicator_series(data, config), config, FeeRates())
    decided = [decision.direction for decision in decisions_of(data, config, fees=FeeRates())]
    assert screen.tolist() == decided
    assert len(set(decided)) == 3


def test_looking_at_every_bar_changes_nothing() -> None:
    data = market(3000, seed=8)
    for changes in ({"profile": "grid"}, {"auto_funding_exit": True}, {"profile": "grid", "be_trigger_r": 0.2}):
        config = LOOSE.replaced(changes)
        fast = run_backtest(data, config, instrument=filters())
        slow = run_backtest(data, config, instrument=filters(), look_at_every_bar=True)
        assert fast.plans == slow.plans
        assert fast.equity_usd.tolist() == slow.equity_usd.tolist()


def test_from_starts_decisions_but_not_history() -> None:
    data = market(4000, seed=2)
    whole = run_backtest(data, LOOSE, instrument=filters())
    cut_ms = START_MS + 2000 * BAR_5M_MS
    part = run_backtest(data, LOOSE, instrument=filters(), from_ms=cut_ms)
    assert len(part.start_ms) == 2000
    assert min(plan.decided_ms for plan in part.plans) > cut_ms
    assert part.warm_bars == 2000
    assert whole.warm_bars == 4000 - 288


def test_too_little_history_is_refused_with_the_numbers() -> None:
    with pytest.raises(MissingWarmUp, match="288 5m and 96 15m bars .* warm-up of 289 5m and 50 15m"):
        run_backtest(prepare("TESTUSDT", bars(288)), StrategyConfig(), instrument=filters())


def test_bars_that_cannot_be_are_refused() -> None:
    good = bars(400)
    with pytest.raises(EmptyRange, match="no 5m bars"):
        prepare("TESTUSDT", good.part(0, 0))
    hole = Bars(*(np.delete(getattr(good, name), 100) for name in Bars.__dataclass_fields__))
    with pytest.raises(InvalidCandle, match="holes"):
        prepare("TESTUSDT", hole)
    high = good.high.copy()
    high[7] = good.low[7] - 1
    with pytest.raises(InvalidCandle, match="1 bars break"):
        prepare("TESTUSDT", replace(good, high=high))


def test_wider_bars_are_whole_and_aligned() -> None:
    """From 00:05 on: the first two 5m bars belong to a quarter that began before and are left out."""
    made = aggregate(bars(32).part(1, 32), BAR_5M_MS, 3 * BAR_5M_MS)
    source = bars(32)
    assert made.start_ms[0] == START_MS + 3 * BAR_5M_MS
    assert len(made) == 9
    assert made.high[0] == max(source.high[3:6])
    assert made.low[0] == min(source.low[3:6])
    assert (made.open[0], made.close[0]) == (source.open[3], source.close[5])
    assert made.volume[0] == pytest.approx(source.volume[3:6].sum())


def test_one_minute_bars_refine_fills_where_they_fit() -> None:
    coarse = bars(400, seed=4)
    at = 350
    minute = np.array([coarse.open[at], coarse.high[at], coarse.low[at], coarse.close[at], coarse.close[at]])
    starts = int(coarse.start_ms[at]) + 60_000 * np.arange(5, dtype=np.int64)
    fine = Bars(starts, minute, minute, minute, minute, np.ones(5))
    data = prepare("TESTUSDT", coarse, bars_1m=fine)
    assert len(data.fine) == 404
    assert data.fine_of_5m[at : at + 2].tolist() == [350, 355]
    assert data.one_minute_share == pytest.approx(1 / 400)
    other = prepare("TESTUSDT", coarse, bars_1m=replace(fine, high=minute + 1))
    assert len(other.fine) == 400


def test_same_bars_same_hash_other_bars_other_hash() -> None:
    assert market(400).data_hash == market(400).data_hash
    assert market(400).data_hash != market(400, seed=2).data_hash
    assert between(bars(100), START_MS + BAR_5M_MS, START_MS + 3 * BAR_5M_MS).start_ms.tolist() == [
        START_MS + BAR_5M_MS,
        START_MS + 2 * BAR_5M_MS,
    ]


def test_the_lookahead_check_is_clean_and_catches_a_planted_peek(monkeypatch: pytest.MonkeyPatch) -> None:
    data = market(2000, seed=6)
    assert check_lookahead(data, LOOSE).is_clean

    def peeking(data: MarketData, config: StrategyConfig) -> IndicatorSeries:
        series = indicator_series(data, config)
        return replace(series, proxy=np.append(series.proxy[1:], np.nan))

    monkeypatch.setattr(bias, "indicator_series", peeking)
    finding = check_lookahead(data, LOOSE)
    assert not finding.is_clean


def test_the_warm_up_check_is_clean_with_the_live_window() -> None:
    finding = check_warm_up(market(4200, seed=7), LOOSE, samples=40)
    assert finding.checked == 40
    assert finding.is_clean
    short = check_warm_up(market(2000), LOOSE)
    assert "not checked" in short.sentence


def test_the_warm_up_check_catches_a_window_that_is_too_short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(StrategyConfig, "history_15m_bars", property(lambda self: self.warmup_15m_bars))
    assert not check_warm_up(market(4200, seed=7), LOOSE, samples=60).is_clean


def test_measures_by_hand() -> None:
    result = run_backtest(market(3000, seed=9), LOOSE, instrument=filters())
    m = measure([result])
    rs = [float(plan.net_usd) / 100 for plan in result.plans if plan.is_traded]
    assert m.trades == len(rs)
    assert m.win_rate == pytest.approx(len([r for r in rs if r > 0]) / len(rs))
    assert m.profit_factor == pytest.approx(sum(r for r in rs if r > 0) / -sum(r for r in rs if r < 0))
    assert m.net_usd == pytest.approx(m.gross_usd - m.fees_usd - m.funding_usd)
    assert sum(group.trades for group in m.by_hour) == m.trades
    assert sum(group.trades for group in m.by_direction) == m.trades
    worst = peak = 0.0
    for value in result.equity_usd:
        peak = max(peak, value)
        worst = max(worst, peak - value)
    assert m.max_drawdown_usd == pytest.approx(worst)
    assert sum(row.net_usd for row in m.by_rung) == pytest.approx(m.gross_usd - m.fees_usd)
