"""What each number of the strategy means, in the groups a person looks for them in."""

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

type Text = str | Promise

GROUPS: tuple[tuple[Text, Text, tuple[str, ...]], ...] = (
    (
        _("Profile"),
        _("Swing enters once with up to three take-profits; grid enters on a ladder of rungs that may cycle."),
        ("profile", "version"),
    ),
    (
        _("Indicators"),
        _("In bars of 5 minutes unless said otherwise. A longer window needs a longer warm-up."),
        (
            *("vwap_bars", "atr_bars", "donchian_bars", "atr_percentile_bars", "book_levels", "proxy_bars"),
            *("trend_fast_bars", "trend_slow_bars", "warmup_5m_bars", "warmup_15m_bars"),
        ),
    ),
    (
        _("Entry rules"),
        _("Every rule is evaluated and stored at each 5-minute close; one that fails is enough for no signal."),
        (
            *("max_decision_age_ms", "max_feature_age_ms", "trigger_sigma_x", "max_sigma_x", "theta", "theta_by_hour"),
            *("dead_hours", "max_spread_bps", "min_to_funding_min", "min_depth_usd", "max_cost_r"),
        ),
    ),
    (
        _("Levels"),
        _("Where stop and targets lie, as multiples of ATR."),
        ("atr_mult_x", "max_slippage_bps", "tp_shares"),
    ),
    (
        _("Grid"),
        _("Only the grid profile uses these."),
        ("rungs", "rung_step_atr_x", "min_step_bps", "rung_weight_x", "rung_tp_steps_x", "max_cycles"),
    ),
    (
        _("Life of a plan"),
        _("When a plan is left without its stop or target having been reached."),
        (
            *("time_exit_ms", "min_fill_ratio", "full_fill_ratio", "partial_policy", "partial_retries", "be_mode"),
            *("be_trigger_r", "funding_exit_ms", "funding_exit_below_r", "auto_funding_exit"),
        ),
    ),
    (
        _("Modelled costs"),
        _("What backtests charge and rule “cost” expects. Too low flatters every result."),
        ("slippage_bps", "slippage_volatile_bps", "volatile_percentile", "slippage_thin_bps", "thin_depth_usd"),
    ),
)

HELP: dict[str, Text] = {
    "vwap_bars": _("bars in VWAP and sigma"),
    "atr_bars": _("span of the ATR"),
    "donchian_bars": _("bars before the current one in the channel"),
    "atr_percentile_bars": _("bars the volatility is ranked among; 288 is a day"),
    "book_levels": _("levels a side in the imbalance; fixed, as books are recorded with so many"),
    "proxy_bars": _("bars that stand in where no order book was recorded"),
    "trend_fast_bars": _("fast EMA of the 15-minute trend"),
    "trend_slow_bars": _("slow EMA of the 15-minute trend"),
    "warmup_5m_bars": _("closed 5-minute bars before the first decision; no fewer than the longest window needs"),
    "warmup_15m_bars": _("closed 15-minute bars before the first decision"),
    "max_decision_age_ms": _("a decision later than this after the close is stale"),
    "max_feature_age_ms": _("a book older than this at the close does not count"),
    "trigger_sigma_x": _("sigmas from VWAP the close must be beyond"),
    "max_sigma_x": _("sigmas beyond which one would be chasing"),
    "theta": _("least imbalance, where the hour has none of its own"),
    "theta_by_hour": _("least imbalance by UTC hour; a calibration fills it in"),
    "dead_hours": _("UTC hours in which nothing is entered"),
    "max_spread_bps": _("widest spread"),
    "min_to_funding_min": _("minutes that must be left to the next funding"),
    "min_depth_usd": _("least USDT within 10 bps of mid"),
    "max_cost_r": _("most a trade may cost, fees and slippage, in R"),
    "atr_mult_x": _("ATRs from entry to stop; narrow stops lose to fees"),
    "max_slippage_bps": _("how far beyond the close the first order may fill"),
    "tp_shares": _("share of the position at each take-profit; sums to 1"),
    "rungs": _("entries on the ladder"),
    "rung_step_atr_x": _("ATRs between rungs"),
    "min_step_bps": _("least distance between rungs"),
    "rung_weight_x": _("size of each rung relative to the one before"),
    "rung_tp_steps_x": _("steps from a rung to its take-profit"),
    "max_cycles": _("how often a rung may be entered again"),
    "time_exit_ms": _("a plan is closed after so long; 86400000 is a day"),
    "min_fill_ratio": _("less filled than this is no position worth keeping"),
    "full_fill_ratio": _("from here on it counts as filled"),
    "partial_policy": _("in between: accept what there is, or try again"),
    "partial_retries": _("how often"),
    "be_mode": _("full: the stop moves to break-even; visual: it is only drawn"),
    "be_trigger_r": _("at how many R"),
    "funding_exit_ms": _("how long before a funding against us a poor plan is left"),
    "funding_exit_below_r": _("poor: below so many R"),
    "auto_funding_exit": _("leave it without asking"),
    "slippage_bps": _("of every taker fill"),
    "slippage_volatile_bps": _("more where volatility is high"),
    "volatile_percentile": _("high: above this percentile of ATR"),
    "slippage_thin_bps": _("more where the book is thin"),
    "thin_depth_usd": _("thin: less depth than this"),
}
