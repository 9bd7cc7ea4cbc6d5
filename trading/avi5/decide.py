"""`decide`: the only place where a signal is born. Same bars, features, config and moment give the same bytes."""

import json
import math
from dataclasses import dataclass
from enum import StrEnum

from avigrid.kernel.instrument import FeeRates
from avigrid.kernel.market import BookFeatures
from avigrid.kernel.money import plain
from trading.avi5.config import STRATEGY, StrategyConfig
from trading.avi5.rules import Rule, RuleInputs, RuleOutcome, cost_in_r, evaluate_side, slippage_bps
from trading.avi5.window import Indicators, MarketWindow, check_window, indicators_at_end

type JsonValue = str | int | float | bool | None | list[JsonValue] | dict[str, JsonValue]


class DecisionStatus(StrEnum):
    WARMING_UP = "warming_up"
    NO_SIGNAL = "no_signal"
    SIGNAL = "signal"


@dataclass(frozen=True, slots=True)
class Decision:
    """One evaluated bar. Identity: (strategy, version, symbol, bar_start_ms).

    `direction` is 1, -1 or 0; `side` is the side nearest to a signal and tells whose failed rules are worth showing.
    """

    strategy: str
    version: str
    symbol: str
    bar_start_ms: int
    decided_ms: int
    status: DecisionStatus
    direction: int
    side: int
    indicators: Indicators
    imbalance: float
    book: BookFeatures | None
    used_proxy: bool
    score: float
    distance: float
    """d: from entry to stop, in price."""
    slippage_bps: float
    cost_r: float
    hour: int
    long_rules: tuple[RuleOutcome, ...]
    short_rules: tuple[RuleOutcome, ...]
    config_hash: str
    fees: FeeRates
    """Those that `cost_r` counts with."""

    @property
    def identity(self) -> tuple[str, str, str, int]:
        return self.strategy, self.version, self.symbol, self.bar_start_ms

    @property
    def rules(self) -> tuple[RuleOutcome, ...]:
        """The outcomes of `side`."""
        return self.long_rules if self.side >= 0 else self.short_rules

    @property
    def failed_rules(self) -> tuple[Rule, ...]:
        return tuple(outcome.rule for outcome in self.rules if not outcome.passed)


def decide(
    window: MarketWindow,
    features: BookFeatures | None,
    config: StrategyConfig,
    *,
    now_ms: int,
    next_funding_ms: int | None,
    fees: FeeRates,
    allow_proxy: bool = True,
) -> Decision:
    """Evaluate the window's last bar. `features` None: the bar proxy stands in, or nothing passes (`allow_proxy`).

    Raises InvalidCandle where the window's bars do not fit together (see `check_window`).
    Features sampled further than `max_feature_age_ms` from the bar's close count as missing values, never as proxy.
    `next_funding_ms` None means a contract without funding.
    """
    check_window(window)
    return decide_on(
        indicators_at_end(window, config),
        features,
        config,
        symbol=window.symbol,
        bar_start_ms=window.bar_start_ms,
        close_ms=window.close_ms,
        is_warm=len(window.bars_5m) >= config.warmup_5m_bars and len(window.bars_15m) >= config.warmup_15m_bars,
        now_ms=now_ms,
        next_funding_ms=next_funding_ms,
        fees=fees,
        allow_proxy=allow_proxy,
    )


def decide_on(
    indicators: Indicators,
    features: BookFeatures | None,
    config: StrategyConfig,
    *,
    symbol: str,
    bar_start_ms: int,
    close_ms: int,
    is_warm: bool,
    now_ms: int,
    next_funding_ms: int | None,
    fees: FeeRates,
    allow_proxy: bool = True,
) -> Decision:
    """`decide` for indicator values that are already known (the replay computes them in one pass)."""
    used_proxy = features is None and allow_proxy
    imbalance = indicators.proxy_imbalance if used_proxy else math.nan
    if features is not None and abs(features.time_ms - close_ms) <= config.max_feature_age_ms:
        imbalance = features.imbalance
    elif features is not None:
        features = BookFeatures(features.symbol, features.time_ms, math.nan, math.nan, math.nan, math.nan, math.nan)
    slippage = slippage_bps(indicators.atr_percentile, features.depth_usd if features else None, config)
    distance = config.atr_mult_x * indicators.atr
    cost_r = cost_in_r(
        close=indicators.close,
        distance=distance,
        fee_ratio=float(fees.taker) + float(fees.maker),
        slippage=slippage,
    )
    hour = close_ms // 3_600_000 % 24
    inputs = RuleInputs(
        indicators=indicators,
        imbalance=imbalance,
        book=features,
        used_proxy=used_proxy,
        age_ms=now_ms - close_ms,
        to_funding_ms=None if next_funding_ms is None else next_funding_ms - now_ms,
        hour=hour,
        cost_r=cost_r,
    )
    long_rules = evaluate_side(1, inputs, config)
    short_rules = evaluate_side(-1, inputs, config)
    direction = 0
    if is_warm and all(outcome.passed for outcome in long_rules):
        direction = 1
    elif is_warm and all(outcome.passed for outcome in short_rules):
        direction = -1
    status = DecisionStatus.WARMING_UP
    if is_warm:
        status = DecisionStatus.SIGNAL if direction else DecisionStatus.NO_SIGNAL
    return Decision(
        strategy=STRATEGY,
        version=config.version,
        symbol=symbol,
        bar_start_ms=bar_start_ms,
        decided_ms=now_ms,
        status=status,
        direction=direction,
        side=direction or indicators.trend or (1 if indicators.close >= indicators.vwap else -1),
        indicators=indicators,
        imbalance=imbalance,
        book=features,
        used_proxy=used_proxy,
        score=score_of(indicators.close, indicators.vwap, indicators.sigma, imbalance),
        distance=distance,
        slippage_bps=slippage,
        cost_r=cost_r,
        hour=hour,
        long_rules=long_rules,
        short_rules=short_rules,
        config_hash=config.config_hash,
        fees=fees,
    )


def score_of(close: float, vwap: float, sigma: float, imbalance: float) -> float:
    """In [0, 1]; half from the distance to VWAP, half from the imbalance; NaN while either is unknown."""
    away = abs(close - vwap)
    if math.isnan(away) or math.isnan(sigma) or math.isnan(imbalance):
        return math.nan
    reach = 1.0 if away > 0 else 0.0
    if sigma > 0:
        reach = min(away / (3 * sigma), 1.0)
    return 0.5 * reach + 0.5 * min(abs(imbalance), 1.0)


def decision_record(decision: Decision) -> dict[str, JsonValue]:
    """Plain JSON values; NaN and infinity become null."""
    it = decision.indicators
    book = decision.book
    return {
        "strategy": decision.strategy,
        "version": decision.version,
        "symbol": decision.symbol,
        "bar_start_ms": decision.bar_start_ms,
        "decided_ms": decision.decided_ms,
        "status": decision.status.value,
        "direction": decision.direction,
        "side": decision.side,
        "close": _finite(it.close),
        "vwap": _finite(it.vwap),
        "sigma": _finite(it.sigma),
        "atr": _finite(it.atr),
        "donchian_high": _finite(it.donchian_high),
        "donchian_low": _finite(it.donchian_low),
        "atr_pct": _finite(it.atr_percentile),
        "ema_fast": _finite(it.ema_fast),
        "ema_slow": _finite(it.ema_slow),
        "trend": it.trend,
        "imbalance": _finite(decision.imbalance),
        "microprice": _finite(book.microprice) if book else None,
        "mid": _finite(book.mid) if book else None,
        "spread_bps": _finite(book.spread_bps) if book else None,
        "depth_usd": _finite(book.depth_usd) if book else None,
        "used_proxy": decision.used_proxy,
        "score": _finite(decision.score),
        "distance": _finite(decision.distance),
        "slippage_bps": _finite(decision.slippage_bps),
        "cost_r": _finite(decision.cost_r),
        "taker_fee": plain(decision.fees.taker),
        "maker_fee": plain(decision.fees.maker),
        "hour": decision.hour,
        "long_rules": [_rule_record(outcome) for outcome in decision.long_rules],
        "short_rules": [_rule_record(outcome) for outcome in decision.short_rules],
        "failed_rules": [rule.value for rule in decision.failed_rules],
        "config_hash": decision.config_hash,
    }


def decision_bytes(decision: Decision) -> bytes:
    """The canonical form: sorted keys, shortest exact floats."""
    return json.dumps(decision_record(decision), sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def _rule_record(outcome: RuleOutcome) -> dict[str, JsonValue]:
    return {
        "rule": outcome.rule.value,
        "passed": outcome.passed,
        "value": _finite(outcome.value),
        "threshold": _finite(outcome.threshold),
        "unit": outcome.unit,
    }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
