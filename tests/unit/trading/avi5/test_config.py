"""Strategy numbers: what is refused, in which words, and that a config is a value."""

import json
import math

import pytest

from tests.unit.trading.backtest.synthetic import bars
from trading.avi5.config import InvalidConfig, Profile, StrategyConfig, parse_setting
from trading.avi5.window import BAR_5M_MS, BAR_15M_MS, MarketWindow, indicators_at_end
from trading.backtest.data import aggregate


def test_defaults_are_those_of_the_specification() -> None:
    config = StrategyConfig()
    assert (config.vwap_bars, config.atr_bars, config.donchian_bars, config.atr_percentile_bars) == (20, 14, 20, 288)
    assert (config.trigger_sigma_x, config.max_sigma_x, config.theta, config.max_spread_bps) == (1.0, 3.0, 0.35, 5.0)
    assert (config.min_to_funding_min, config.min_depth_usd, config.max_cost_r) == (15.0, 50_000.0, 0.2)
    assert (config.atr_mult_x, config.tp_shares, config.max_slippage_bps) == (8.0, (0.5, 0.3, 0.2), 10.0)
    assert (config.rungs, config.rung_step_atr_x, config.min_step_bps) == (5, 1.0, 15.0)
    assert (config.rung_weight_x, config.rung_tp_steps_x, config.max_cycles) == (1.0, 1.0, 3)
    assert (config.time_exit_ms, config.min_fill_ratio, config.full_fill_ratio) == (86_400_000, 0.5, 0.95)
    assert (config.slippage_bps, config.slippage_volatile_bps, config.slippage_thin_bps) == (2.0, 15.0, 25.0)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"theta": 7}, ("theta", "0 to 1", "7")),
        ({"theta": float("nan")}, ("theta", "0 to 1")),
        ({"theta": "0.3"}, ("theta", "a number")),
        ({"theta": True}, ("theta", "a number")),
        ({"thetta": 0.3}, ("unknown field", "thetta")),
        ({"vwap_bars": 20.5}, ("vwap_bars", "whole number", "2 to 500")),
        ({"vwap_bars": 1e400}, ("vwap_bars", "whole number")),
        ({"profile": "scalp"}, ("profile", "swing, grid", "scalp")),
        ({"rung_weight_x": 1.6}, ("rung_weight_x", "1.5", "1.6")),
        ({"theta_by_hour": {"24": 0.3}}, ("theta_by_hour", "0 to 23", "24")),
        ({"theta_by_hour": {"3": 1.5}}, ("theta_by_hour", "hour 3", "0 to 1")),
        ({"dead_hours": [25]}, ("dead_hours", "0 to 23", "25")),
        ({"dead_hours": "3"}, ("dead_hours",)),
        ({"dead_hours": [3.7]}, ("dead_hours", "whole", "3.7")),
        ({"dead_hours": [True]}, ("dead_hours", "whole", "True")),
        ({"theta_by_hour": {"3": True}}, ("theta_by_hour", "True")),
        ({"theta_by_hour": {3.5: 0.3}}, ("theta_by_hour", "3.5")),
        ({"tp_shares": [0.5, 0.3]}, ("tp_shares", "sum 1")),
        ({"tp_shares": [0.5, float("nan")]}, ("tp_shares", "sum 1")),
        ({"tp_shares": [True]}, ("tp_shares", "True")),
        ({"book_levels": 20}, ("book_levels", "fixed at 10", "20")),
        ({"vwap_bars": 300}, ("warmup_5m_bars", "at least 300", "vwap_bars", "289")),
        ({"donchian_bars": 289}, ("warmup_5m_bars", "at least 290", "donchian_bars", "289")),
        ({"atr_percentile_bars": 400, "warmup_5m_bars": 400}, ("warmup_5m_bars", "401", "atr_percentile_bars")),
        ({"warmup_5m_bars": 288}, ("warmup_5m_bars", "at least 289", "atr_percentile_bars", "288")),
        ({"max_sigma_x": 0.5}, ("max_sigma_x", "trigger_sigma_x")),
        ({"trend_fast_bars": 60}, ("trend_fast_bars", "50")),
        ({"auto_funding_exit": "maybe"}, ("auto_funding_exit", "maybe")),
    ],
)
def test_wrong_numbers_are_refused_by_name_and_limit(values: dict[str, object], words: tuple[str, ...]) -> None:
    with pytest.raises(InvalidConfig) as refused:
        StrategyConfig.from_mapping(values)
    assert refused.value.code == "invalid_config"
    for word in words:
        assert word in refused.value.message


def test_a_config_survives_json_and_keeps_its_hash() -> None:
    config = StrategyConfig(profile=Profile.GRID, theta_by_hour={13: 0.4, 2: 0.2}, dead_hours=(3, 4), max_cycles=2)
    again = StrategyConfig.from_mapping(json.loads(json.dumps(config.to_mapping())))
    assert again == config
    assert again.config_hash == config.config_hash
    assert config.config_hash != StrategyConfig(profile=Profile.GRID).config_hash
    assert (config.theta_at(13), config.theta_at(14)) == (0.4, 0.35)


def test_whole_floats_from_json_hash_like_whole_numbers() -> None:
    assert StrategyConfig.from_mapping({"vwap_bars": 20.0, "theta": 1}) == StrategyConfig(theta=1.0)
    assert (
        StrategyConfig.from_mapping({"theta": 1}).config_hash == StrategyConfig.from_mapping({"theta": 1.0}).config_hash
    )


def test_settings_as_typed() -> None:
    assert parse_setting("theta = 0.4") == ("theta", 0.4)
    assert parse_setting("profile=grid") == ("profile", "grid")
    assert parse_setting("dead_hours=[3, 4]") == ("dead_hours", [3, 4])
    assert parse_setting("auto_funding_exit=True") == ("auto_funding_exit", True)
    for wrong in ("theta", "theta=abc"):
        with pytest.raises(InvalidConfig, match="theta"):
            parse_setting(wrong)


@pytest.mark.parametrize(
    "lengths",
    [
        {},
        {"atr_percentile_bars": 2000, "warmup_5m_bars": 2001},
        {"vwap_bars": 500, "warmup_5m_bars": 500},
        {"donchian_bars": 499, "warmup_5m_bars": 500},
        {"atr_percentile_bars": 20, "vwap_bars": 2, "donchian_bars": 2, "warmup_5m_bars": 21, "proxy_bars": 21},
    ],
)
def test_the_live_window_warms_every_indicator(lengths: dict[str, object]) -> None:
    """A decision sees no more than `history_5m_bars`: with those, and already with the warm-up, nothing is NaN."""
    config = StrategyConfig.from_mapping(lengths)
    for count in (config.warmup_5m_bars, config.history_5m_bars):
        made = bars(count)
        window = MarketWindow("TESTUSDT", made, aggregate(made, BAR_5M_MS, BAR_15M_MS))
        seen = indicators_at_end(window, config)
        values = (seen.vwap, seen.sigma, seen.atr, seen.donchian_high, seen.atr_percentile, seen.proxy_imbalance)
        assert not any(math.isnan(value) for value in values)


def test_the_window_outlives_the_seed_of_a_long_atr() -> None:
    """200 bars of ATR ranked among 288: the oldest ranked value is 20 spans from the seed."""
    assert StrategyConfig(atr_bars=200).history_5m_bars == 4288
    assert StrategyConfig().history_5m_bars == 600


def test_what_was_legal_once_can_still_be_read() -> None:
    stored = {**StrategyConfig().to_mapping(), "book_levels": 20, "vwap_bars": 500, "warmup_5m_bars": 21}
    read = StrategyConfig.from_stored(stored)
    assert (read.book_levels, read.vwap_bars, read.warmup_5m_bars) == (10, 500, 500)
    assert StrategyConfig.from_stored({"theta": 0.2}) == StrategyConfig(theta=0.2)
    grid = StrategyConfig(profile=Profile.GRID, theta_by_hour={13: 0.4})
    assert StrategyConfig.from_stored(grid.to_mapping()).config_hash == grid.config_hash
