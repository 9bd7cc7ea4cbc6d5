"""The least and the most each number of the strategy may be; two equal ones say that it is fixed."""

from avigrid.kernel.market import BOOK_LEVELS

LIMITS: dict[str, tuple[float, float]] = {
    "vwap_bars": (2, 500),
    "atr_bars": (2, 200),
    "donchian_bars": (2, 500),
    "atr_percentile_bars": (20, 2_000),
    "book_levels": (BOOK_LEVELS, BOOK_LEVELS),
    "proxy_bars": (1, 50),
    "trend_fast_bars": (2, 200),
    "trend_slow_bars": (3, 400),
    "warmup_5m_bars": (21, 5_000),
    "warmup_15m_bars": (3, 2_000),
    "max_decision_age_ms": (0, 300_000),
    "max_feature_age_ms": (0, 300_000),
    "trigger_sigma_x": (0, 10),
    "max_sigma_x": (0.1, 20),
    "theta": (0, 1),
    "max_spread_bps": (0, 1_000),
    "min_to_funding_min": (0, 480),
    "min_depth_usd": (0, 1e9),
    "max_cost_r": (0, 10),
    "atr_mult_x": (0.1, 100),
    "max_slippage_bps": (0, 500),
    "rungs": (1, 20),
    "rung_step_atr_x": (0, 20),
    "min_step_bps": (1, 1_000),
    "rung_weight_x": (0.5, 1.5),
    "rung_tp_steps_x": (0.5, 20),
    "max_cycles": (0, 20),
    "time_exit_ms": (300_000, 30 * 86_400_000),
    "min_fill_ratio": (0, 1),
    "full_fill_ratio": (0, 1),
    "partial_retries": (0, 10),
    "be_trigger_r": (0.1, 10),
    "funding_exit_ms": (0, 3_600_000),
    "funding_exit_below_r": (-10, 10),
    "slippage_bps": (0, 100),
    "slippage_volatile_bps": (0, 500),
    "volatile_percentile": (0, 1),
    "slippage_thin_bps": (0, 500),
    "thin_depth_usd": (0, 1e10),
}

_LENGTHS = ("vwap_bars", "donchian_bars", "atr_percentile_bars", "proxy_bars")
COUPLED: dict[str, tuple[str, ...]] = {
    "max_sigma_x": ("trigger_sigma_x",),
    "trigger_sigma_x": ("max_sigma_x",),
    "trend_fast_bars": ("trend_slow_bars",),
    "trend_slow_bars": ("trend_fast_bars",),
    "min_fill_ratio": ("full_fill_ratio",),
    "full_fill_ratio": ("min_fill_ratio",),
    "warmup_5m_bars": _LENGTHS,
    **dict.fromkeys(_LENGTHS, ("warmup_5m_bars",)),
}
"""Numbers that must be above or below another one: whether a value is legal depends on these and on nothing else."""
