"""The eleven entry rules. All are evaluated for both sides, passed or not, with value, threshold and unit."""

import math
from dataclasses import dataclass
from enum import StrEnum

from avigrid.kernel.market import BookFeatures
from trading.avi5.config import StrategyConfig
from trading.avi5.window import Indicators

CLOCK_TOLERANCE_MS = 1_000
"""A confirmed bar is over, whatever our estimate of the exchange's time says: a little behind is no reason to wait."""


class Rule(StrEnum):
    FRESH = "fresh"
    TREND = "trend"
    TRIGGER = "trigger"
    NOT_CHASING = "not_chasing"
    IMBALANCE = "imbalance"
    MICROPRICE = "microprice"
    SPREAD = "spread"
    FUNDING = "funding"
    HOUR_OPEN = "hour_open"
    LIQUIDITY = "liquidity"
    COST = "cost"


@dataclass(frozen=True, slots=True)
class RuleOutcome:
    """Values as measured for this side: a short's imbalance of -0.4 is shown as -0.4 against a threshold of -0.35."""

    rule: Rule
    passed: bool
    value: float
    threshold: float
    unit: str


@dataclass(frozen=True, slots=True)
class RuleInputs:
    """Everything the rules read besides the indicators. `book` None: the proxy stands in, book rules pass."""

    indicators: Indicators
    imbalance: float
    book: BookFeatures | None
    used_proxy: bool
    age_ms: int
    to_funding_ms: int | None
    hour: int
    cost_r: float


def slippage_bps(atr_percentile: float, depth_usd: float | None, config: StrategyConfig) -> float:
    """Modelled taker slippage: more when volatile, more when the book is known to be thin."""
    bps = config.slippage_bps
    if atr_percentile > config.volatile_percentile:
        bps += config.slippage_volatile_bps
    if depth_usd is not None and depth_usd < config.thin_depth_usd:
        bps += config.slippage_thin_bps
    return bps


def cost_in_r(*, close: float, distance: float, fee_ratio: float, slippage: float) -> float:
    """What a round trip costs in R: `fee_ratio` = taker + maker, `distance` from entry to stop (d)."""
    if not distance > 0:
        return math.nan
    return (fee_ratio + slippage / 1e4) * close / distance


def evaluate_side(direction: int, inputs: RuleInputs, config: StrategyConfig) -> tuple[RuleOutcome, ...]:
    """The eleven outcomes for `direction` (1 or -1), in the order of the specification."""
    it = inputs.indicators
    theta = config.theta_at(inputs.hour)
    trigger = it.vwap + direction * config.trigger_sigma_x * it.sigma
    furthest = it.vwap + direction * config.max_sigma_x * it.sigma
    to_funding_min = math.inf if inputs.to_funding_ms is None else inputs.to_funding_ms / 60_000
    book = inputs.book
    if inputs.used_proxy:
        lean = spread = depth = math.nan
        book_passes = True
    else:
        lean = book.microprice - book.mid if book else math.nan
        spread = book.spread_bps if book else math.nan
        depth = book.depth_usd if book else math.nan
        book_passes = False
    is_open = inputs.hour not in config.dead_hours
    return (
        RuleOutcome(
            Rule.FRESH,
            -CLOCK_TOLERANCE_MS <= inputs.age_ms <= config.max_decision_age_ms,
            inputs.age_ms / 1000,
            config.max_decision_age_ms / 1000,
            "s",
        ),
        RuleOutcome(Rule.TREND, it.trend == direction, float(it.trend), float(direction), "direction"),
        RuleOutcome(Rule.TRIGGER, direction * (it.close - trigger) > 0, it.close, trigger, "price"),
        RuleOutcome(Rule.NOT_CHASING, direction * (it.close - furthest) <= 0, it.close, furthest, "price"),
        RuleOutcome(
            Rule.IMBALANCE, direction * inputs.imbalance >= theta, inputs.imbalance, direction * theta, "ratio"
        ),
        RuleOutcome(Rule.MICROPRICE, book_passes or direction * lean > 0, lean, 0.0, "price"),
        RuleOutcome(Rule.SPREAD, book_passes or spread <= config.max_spread_bps, spread, config.max_spread_bps, "bps"),
        RuleOutcome(
            Rule.FUNDING,
            to_funding_min >= config.min_to_funding_min,
            to_funding_min,
            config.min_to_funding_min,
            "min",
        ),
        RuleOutcome(Rule.HOUR_OPEN, is_open, float(inputs.hour), 1.0 if is_open else 0.0, "UTC hour"),
        RuleOutcome(Rule.LIQUIDITY, book_passes or depth >= config.min_depth_usd, depth, config.min_depth_usd, "USD"),
        RuleOutcome(Rule.COST, inputs.cost_r <= config.max_cost_r, inputs.cost_r, config.max_cost_r, "R"),
    )
