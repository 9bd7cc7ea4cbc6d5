"""Sweeps: every combination once, in shards that add up; neighbours one step away; rows as the pure path has them."""

from collections.abc import Mapping

import pytest

from avigrid.kernel.errors import Rejected
from tests.unit.trading.backtest.synthetic import START_MS, filters, market
from trading.avi5.config import ConfigValue, InvalidConfig, StrategyConfig
from trading.avi5.window import BAR_5M_MS
from trading.backtest.driver import run_backtest
from trading.backtest.series import MissingWarmUp
from trading.backtest.sweep import SweepRow, SweepSpec, ranked, shard_indices, sweep_run

LOOSE = StrategyConfig(max_cost_r=1.0, max_slippage_bps=60.0)
SPEC = SweepSpec(LOOSE, {"theta": (0.1, 0.2, 0.3), "vwap_bars": (10, 20), "profile": ("swing", "grid")})


def test_every_combination_has_one_index() -> None:
    assert SPEC.size == 12
    assert SPEC.changes(0) == {"theta": 0.1, "vwap_bars": 10, "profile": "swing"}
    assert SPEC.changes(1) == {"theta": 0.1, "vwap_bars": 10, "profile": "grid"}
    assert SPEC.changes(11) == {"theta": 0.3, "vwap_bars": 20, "profile": "grid"}
    assert len({str(SPEC.changes(i)) for i in range(12)}) == 12


def test_neighbours_differ_by_one_step_on_one_axis() -> None:
    for index in range(12):
        for other in SPEC.neighbours(index):
            a, b = SPEC.changes(index), SPEC.changes(other)
            differing = [name for name in a if a[name] != b[name]]
            assert len(differing) == 1
            values = SPEC.axes[differing[0]]
            assert abs(values.index(a[differing[0]]) - values.index(b[differing[0]])) == 1
    assert SPEC.neighbours(0) == [1, 2, 4]


def test_shards_add_up_to_the_whole() -> None:
    loaded = [(market(1500, seed=3), filters())]
    whole = sweep_run(SPEC, loaded)
    parts = [row for shard in range(5) for row in sweep_run(SPEC, loaded, shard=shard, shards=5)]
    assert parts == whole
    assert [i for shard in range(5) for i in shard_indices(SPEC, shard, 5)] == list(range(12))


def test_rows_are_what_the_pure_path_finds() -> None:
    loaded = [(market(1500, seed=3), filters()), (market(1500, seed=4), filters())]
    for row in sweep_run(SPEC, loaded)[::5]:
        config = SPEC.config(row.index)
        plans = [p for data, grain in loaded for p in run_backtest(data, config, instrument=grain).plans]
        traded = [plan for plan in plans if plan.is_traded]
        assert (row.plans, row.trades) == (len(plans), len(traded))
        assert row.sum_r == pytest.approx(sum(plan.r for plan in traded))
        assert row.win_rate == pytest.approx(sum(plan.r > 0 for plan in traded) / len(traded))


def test_a_first_decision_is_the_backtests_first_decision() -> None:
    loaded = [(market(1500, seed=3), filters())]
    cut_ms = START_MS + 900 * BAR_5M_MS
    rows = sweep_run(SPEC, loaded, from_ms=cut_ms)
    assert [row.plans for row in rows] != [row.plans for row in sweep_run(SPEC, loaded)]
    for row in rows[::5]:
        found = run_backtest(loaded[0][0], SPEC.config(row.index), instrument=filters(), from_ms=cut_ms)
        traded = [plan for plan in found.plans if plan.is_traded]
        assert (row.plans, row.trades) == (len(found.plans), len(traded))
        assert row.sum_r == pytest.approx(sum(plan.r for plan in traded))


def test_bars_that_do_not_reach_past_the_warm_up_are_refused() -> None:
    with pytest.raises(MissingWarmUp, match="288 5m and 96 15m bars do not reach past the warm-up of 289"):
        sweep_run(SPEC, [(market(1500), filters()), (market(288), filters())])
    with pytest.raises(MissingWarmUp, match="after 2025-09-29 05:00"):
        sweep_run(SPEC, [(market(1500), filters())], from_ms=START_MS + 1500 * BAR_5M_MS)
    long = SweepSpec(LOOSE, {"warmup_5m_bars": (289, 2000)})
    with pytest.raises(MissingWarmUp, match="warm-up of 2000 5m"):
        sweep_run(long, [(market(1500), filters())])


def test_rows_tell_whether_the_imbalance_was_a_stand_in() -> None:
    assert all(row.used_proxy for row in sweep_run(SPEC, [(market(600), filters())]))
    seen = market(600, book_share=1.0)
    assert not any(row.used_proxy for row in sweep_run(SPEC, [(seen, filters())]))
    both = [(seen, filters()), (market(600), filters())]
    assert all(row.used_proxy for row in sweep_run(SPEC, both))


def test_combinations_that_are_not_legal_are_left_out() -> None:
    spec = SweepSpec(LOOSE, {"trigger_sigma_x": (1.0, 2.5), "max_sigma_x": (2.0, 3.0)})
    rows = sweep_run(spec, [(market(600), filters())])
    assert [row.changes for row in rows] == [
        {"trigger_sigma_x": 1.0, "max_sigma_x": 2.0},
        {"trigger_sigma_x": 1.0, "max_sigma_x": 3.0},
        {"trigger_sigma_x": 2.5, "max_sigma_x": 3.0},
    ]


def test_a_spike_ranks_below_a_plateau() -> None:
    spec = SweepSpec(LOOSE, {"theta": (0.1, 0.2, 0.3, 0.4, 0.5)})

    def row(index: int, expectancy: float, trades: int = 100) -> SweepRow:
        return SweepRow(index, {}, "", 100, trades, 0.5, 1.0, expectancy, 0.0, 0.0, 0.0)

    order = ranked(spec, [row(0, 0.10), row(1, 0.12), row(2, -0.2), row(3, 0.5), row(4, -0.2)])
    assert [item.row.index for item in order][:2] == [0, 1]
    spike = next(item for item in order if item.row.index == 3)
    assert (spike.neighbours, spike.neighbours_median_r, spike.neighbours_worst_r) == (2, -0.2, -0.2)
    few = ranked(spec, [row(0, 9.9, trades=5), row(1, 0.1)])
    assert [item.row.index for item in few] == [1, 0]


@pytest.mark.parametrize(
    ("axes", "field"),
    [
        ({"theta": (0.2, 7)}, "theta"),
        ({"max_sigma_x": (3.0, 0.5), "trigger_sigma_x": (1.0, 1.5)}, "max_sigma_x"),
        ({"vwap_bars": (20, 400), "warmup_5m_bars": (300, 350)}, "warmup_5m_bars"),
    ],
)
def test_a_wrong_value_is_found_without_walking_the_grid(
    axes: dict[str, tuple[ConfigValue, ...]], field: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = 0
    replaced = StrategyConfig.replaced

    def counted(config: StrategyConfig, changes: Mapping[str, object]) -> StrategyConfig:
        nonlocal tried
        tried += 1
        return replaced(config, changes)

    monkeypatch.setattr(StrategyConfig, "replaced", counted)
    wide = {"atr_mult_x": tuple(1 + n / 10 for n in range(100)), "be_trigger_r": tuple(1 + n / 10 for n in range(80))}
    with pytest.raises(InvalidConfig) as refused:
        SweepSpec(LOOSE, {**wide, **axes})
    assert refused.value.details["field"] == field
    assert tried < 250


def test_what_only_another_axis_makes_legal_is_no_mistake() -> None:
    spec = SweepSpec(
        LOOSE,
        {"warmup_5m_bars": (60, 500), "atr_percentile_bars": (30, 288), "vwap_bars": (20, 400), "proxy_bars": (3, 50)},
    )
    assert spec.deepest.history_5m_bars == 1022
    assert SweepSpec(LOOSE, {"trend_fast_bars": (20, 60), "trend_slow_bars": (50, 100)}).size == 4
    assert SweepSpec(LOOSE, {"min_fill_ratio": (0.5, 0.98), "full_fill_ratio": (0.95, 0.99)}).size == 4


def test_wrong_sweeps_are_refused() -> None:
    with pytest.raises(InvalidConfig, match="at least one field"):
        SweepSpec(LOOSE, {})
    with pytest.raises(InvalidConfig, match="theta has no values"):
        SweepSpec(LOOSE, {"theta": ()})
    with pytest.raises(Rejected, match="limit is 200000"):
        SweepSpec(LOOSE, {"theta": tuple(i / 1000 for i in range(999)), "rungs": tuple(range(1, 999))})
    with pytest.raises(Rejected, match="shard must be 0 to 2, got 3"):
        sweep_run(SPEC, [], shard=3, shards=3)
    with pytest.raises(InvalidConfig, match="theta has 2001 values to sweep over, the limit is 2000"):
        SweepSpec(LOOSE, {"theta": tuple(i / 2001 for i in range(2001))})
