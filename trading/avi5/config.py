"""Every number of AVI-5 with its default and its limits. A config is a value: equal numbers, equal hash."""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from decimal import Decimal
from enum import StrEnum
from functools import lru_cache
from typing import Any

from avigrid.kernel.errors import Rejected
from avigrid.kernel.market import BOOK_LEVELS
from avigrid.kernel.money import decimal_from_float
from trading.avi5.limits import LIMITS

type ConfigValue = str | int | float | bool | list[float] | list[int] | dict[str, float]

STRATEGY = "avi5"
VERSION = "1.0"


class Profile(StrEnum):
    SWING = "swing"
    GRID = "grid"


class BreakEvenMode(StrEnum):
    FULL = "full"
    VISUAL = "visual"


class PartialPolicy(StrEnum):
    ACCEPT = "accept"
    RETRY = "retry"


class InvalidConfig(Rejected):
    """A strategy number outside its limits, or a name that does not exist."""

    code = "invalid_config"


@dataclass(frozen=True, slots=True)
class StrategyConfig:
    """Defaults of AVI-5. Ratios are of 1, `_bps` of 10,000, `_x` multiples of ATR or sigma."""

    profile: Profile = Profile.SWING
    version: str = VERSION
    # indicators
    vwap_bars: int = 20
    atr_bars: int = 14
    donchian_bars: int = 20
    atr_percentile_bars: int = 288
    book_levels: int = BOOK_LEVELS
    proxy_bars: int = 3
    trend_fast_bars: int = 20
    trend_slow_bars: int = 50
    warmup_5m_bars: int = 289
    warmup_15m_bars: int = 50
    # entry rules
    max_decision_age_ms: int = 5_000
    max_feature_age_ms: int = 10_000
    trigger_sigma_x: float = 1.0
    max_sigma_x: float = 3.0
    theta: float = 0.35
    theta_by_hour: dict[int, float] = field(default_factory=dict)
    dead_hours: tuple[int, ...] = ()
    max_spread_bps: float = 5.0
    min_to_funding_min: float = 15.0
    min_depth_usd: float = 50_000.0
    max_cost_r: float = 0.20
    # levels
    atr_mult_x: float = 8.0
    max_slippage_bps: float = 10.0
    tp_shares: tuple[float, ...] = (0.5, 0.3, 0.2)
    # grid
    rungs: int = 5
    rung_step_atr_x: float = 1.0
    min_step_bps: float = 15.0
    rung_weight_x: float = 1.0
    rung_tp_steps_x: float = 1.0
    max_cycles: int = 3
    # life of a plan
    time_exit_ms: int = 86_400_000
    min_fill_ratio: float = 0.5
    full_fill_ratio: float = 0.95
    partial_policy: PartialPolicy = PartialPolicy.ACCEPT
    partial_retries: int = 2
    be_mode: BreakEvenMode = BreakEvenMode.FULL
    be_trigger_r: float = 1.0
    funding_exit_ms: int = 600_000
    funding_exit_below_r: float = 0.3
    auto_funding_exit: bool = False
    # modelled costs
    slippage_bps: float = 2.0
    slippage_volatile_bps: float = 15.0
    volatile_percentile: float = 0.8
    slippage_thin_bps: float = 25.0
    thin_depth_usd: float = 1_000_000.0
    _hash: list[str] = field(default_factory=list, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        for name, (low, high) in LIMITS.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
                raise _out_of_range(name, low, high, value)
        for name in _WHOLE:
            if not isinstance(getattr(self, name), int):
                raise InvalidConfig(f"{name} must be a whole number, got {getattr(self, name)}", field=name)
        _check_hours(self.theta_by_hour, self.dead_hours)
        if self.max_sigma_x <= self.trigger_sigma_x:
            raise InvalidConfig(
                f"max_sigma_x must be above trigger_sigma_x ({self.trigger_sigma_x}), got {self.max_sigma_x}",
                field="max_sigma_x",
            )
        if self.trend_fast_bars >= self.trend_slow_bars:
            raise InvalidConfig(
                f"trend_fast_bars must be below trend_slow_bars ({self.trend_slow_bars}), got {self.trend_fast_bars}",
                field="trend_fast_bars",
            )
        if self.full_fill_ratio < self.min_fill_ratio:
            raise InvalidConfig(
                f"full_fill_ratio must be at least min_fill_ratio ({self.min_fill_ratio}), got {self.full_fill_ratio}",
                field="full_fill_ratio",
            )
        _check_warm_up(self)
        is_split = 1 <= len(self.tp_shares) <= 3 and all(share > 0 for share in self.tp_shares)
        if not (is_split and abs(sum(self.tp_shares) - 1) <= 1e-9):  # so written, a NaN is refused too
            raise InvalidConfig(
                f"tp_shares must be 1 to 3 positive numbers with the sum 1, got {list(self.tp_shares)}",
                field="tp_shares",
            )

    def __hash__(self) -> int:
        return hash(self.config_hash)

    def theta_at(self, hour: int) -> float:
        return self.theta_by_hour.get(hour, self.theta)

    @property
    def history_5m_bars(self) -> int:
        """Bars a decision looks at: warm-up and as much again, and never so few that the ATR's seed (dead after 20 of
        its spans, < 1e-17) is among the values that are ranked."""
        return max(2 * self.warmup_5m_bars + 22, 20 * self.atr_bars + self.atr_percentile_bars)

    @property
    def history_15m_bars(self) -> int:
        """20 spans of the slow EMA: the weight of its seed is then exp(-40), below float64's resolution."""
        return max(self.warmup_15m_bars, 20 * self.trend_slow_bars)

    def to_mapping(self) -> dict[str, ConfigValue]:
        """Plain JSON values; `from_mapping` gives the same config back."""
        values = asdict(self)
        del values["_hash"]
        values["theta_by_hour"] = {str(hour): theta for hour, theta in sorted(self.theta_by_hour.items())}
        values["dead_hours"] = sorted(self.dead_hours)
        values["tp_shares"] = list(self.tp_shares)
        return values

    @classmethod
    def from_mapping(cls, values: Mapping[str, object]) -> "StrategyConfig":
        """Missing fields take their defaults; unknown fields and illegal values raise InvalidConfig."""
        known = {f.name for f in fields(cls) if f.init}
        for name in values:
            if name not in known:
                raise InvalidConfig(f"unknown field {name!r}; known are {', '.join(sorted(known))}", field=name)
        typed: dict[str, Any] = {name: _typed(name, value) for name, value in values.items()}
        return cls(**typed)

    @classmethod
    def from_stored(cls, values: Mapping[str, object]) -> "StrategyConfig":
        """A config kept since some earlier day: what was legal then and is not now is read as what it comes to."""
        kept = {**cls().to_mapping(), **values, "book_levels": BOOK_LEVELS}
        least = max(need for _, need in _warm_up_needs(kept))
        given = kept["warmup_5m_bars"]
        return cls.from_mapping({**kept, "warmup_5m_bars": max(given, least) if isinstance(given, int) else given})

    def replaced(self, changes: Mapping[str, object]) -> "StrategyConfig":
        return StrategyConfig.from_mapping({**self.to_mapping(), **changes})

    @property
    def config_hash(self) -> str:
        """16 hex digits of the canonical JSON's SHA-256."""
        if not self._hash:
            text = json.dumps(self.to_mapping(), sort_keys=True, separators=(",", ":"))
            self._hash.append(hashlib.sha256(text.encode()).hexdigest()[:16])
        return self._hash[0]


_WHOLE = tuple(name for name in LIMITS if StrategyConfig.__annotations__[name] is int)
_ENUMS: dict[str, type[StrEnum]] = {
    "profile": Profile,
    "be_mode": BreakEvenMode,
    "partial_policy": PartialPolicy,
}


@lru_cache(maxsize=256)
def as_decimal(value: float) -> Decimal:
    """One of the config's numbers as it was written; a replay asks for the same few very often."""
    return decimal_from_float(value)


def parse_setting(text: str) -> tuple[str, object]:
    """`theta=0.4` as typed on a command line; lists and mappings are JSON (`dead_hours=[3,4]`)."""
    name, sign, raw = text.partition("=")
    if not sign:
        raise InvalidConfig(f"a setting is written field=value, got {text!r}", field=text)
    name, raw = name.strip(), raw.strip()
    if name == "version" or name in _ENUMS:
        return name, raw
    try:
        return name, json.loads(raw.lower() if raw in ("True", "False") else raw)
    except (ValueError, RecursionError):
        raise InvalidConfig(f"{name} cannot be {raw!r}: not a number, list or mapping", field=name) from None


def _typed(name: str, value: object) -> object:
    kind = StrategyConfig.__annotations__[name]
    if name in _ENUMS:
        try:
            return _ENUMS[name](str(value))
        except ValueError:
            choices = ", ".join(_ENUMS[name])
            raise InvalidConfig(f"{name} must be one of {choices}, got {value!r}", field=name) from None
    try:
        if name == "theta_by_hour" and isinstance(value, Mapping):
            return {_hour(hour): _number(theta) for hour, theta in value.items()}
        if name == "dead_hours" and isinstance(value, list | tuple):
            return tuple(sorted(_hour(hour) for hour in value))
        if name == "tp_shares" and isinstance(value, list | tuple):
            return tuple(_number(share) for share in value)
    except (TypeError, ValueError, OverflowError):
        raise InvalidConfig(f"{name} must hold numbers, hours whole ones, got {value!r}", field=name) from None
    if isinstance(value, int | float) and not isinstance(value, bool) and _is_finite(value):
        if kind is int and float(value) == int(value):
            return int(value)
        if kind is float:
            return float(value)
    if (kind is bool and isinstance(value, bool)) or (kind is str and isinstance(value, str) and _is_name(value)):
        return value
    if name in LIMITS:
        raise _out_of_range(name, *LIMITS[name], value)
    raise InvalidConfig(f"{name} has the wrong type: {value!r}", field=name)


def _is_name(value: str) -> bool:
    return 0 < len(value) <= 32 and value.isprintable()


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number beyond float64
        return False


def _hour(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float | str) or int(value) != float(value):
        raise ValueError(value)
    return int(value)


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise TypeError(value)
    return float(value)


def _warm_up_needs(values: Mapping[str, object]) -> list[tuple[str, int]]:
    """Per length the closed 5m bars after which it has a value; the percentile ranks one bar less than it looks at."""
    more = {"vwap_bars": 0, "donchian_bars": 1, "atr_percentile_bars": 1, "proxy_bars": 0}
    return [(name, int(str(values[name])) + extra) for name, extra in more.items()]


def _check_warm_up(config: StrategyConfig) -> None:
    """A decision sees little more than the warm-up: what is longer would stay NaN live, and be known in a replay."""
    lengths = ("vwap_bars", "donchian_bars", "atr_percentile_bars", "proxy_bars")
    for name, least in _warm_up_needs({name: getattr(config, name) for name in lengths}):
        if config.warmup_5m_bars < least:
            raise InvalidConfig(
                f"warmup_5m_bars must be at least {least} where {name} is {getattr(config, name)},"
                f" got {config.warmup_5m_bars}",
                field="warmup_5m_bars",
            )


def _out_of_range(name: str, low: float, high: float, value: object) -> InvalidConfig:
    if low == high:
        return InvalidConfig(f"{name} is fixed at {low:g}, got {value!r}", field=name, value=value)
    kind = "a whole number" if name in _WHOLE else "a number"
    return InvalidConfig(f"{name} must be {kind} from {low:g} to {high:g}, got {value!r}", field=name, value=value)


def _check_hours(theta_by_hour: Mapping[int, float], dead_hours: tuple[int, ...]) -> None:
    for hour, theta in theta_by_hour.items():
        if not 0 <= hour <= 23:
            raise InvalidConfig(f"theta_by_hour: the hour must be 0 to 23, got {hour}", field="theta_by_hour")
        if not 0 <= theta <= 1:
            raise InvalidConfig(
                f"theta_by_hour: theta of hour {hour} must be a number from 0 to 1, got {theta}",
                field="theta_by_hour",
            )
    for hour in dead_hours:
        if not 0 <= hour <= 23:
            raise InvalidConfig(f"dead_hours: the hour must be 0 to 23, got {hour}", field="dead_hours")
