"""What a research run is asked to do, read from JSON. Every refusal names the field and its limit."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation

from avigrid.kernel.errors import Rejected
from avigrid.kernel.instrument import FeeRates
from avigrid.kernel.money import plain
from trading.avi5.config import ConfigValue, StrategyConfig
from trading.backtest.result import BacktestSettings
from trading.backtest.sweep import SweepSpec
from trading.backtest.walk_forward import WalkForward

MOST_SYMBOLS = 50
MOST_DAYS = 1_000
MOST_THETAS = 50
MOST_TRADES = 10_000
HIGHEST_FEE = Decimal("0.01")
"""One percent: above it somebody has written percent where a ratio belongs."""
_SYMBOL = re.compile(r"[A-Z0-9]{1,32}")
LANGUAGES = ("en", "ru")
KINDS = ("backtest", "sweep", "calibrate")
_COMMON = frozenset(
    {"symbols", "config", "from", "to", "r_usd", "equity_usd", "taker_fee", "maker_fee", "anti_churn_s"}
)
WALK_DAYS = ("train_days", "test_days", "step_days")
WALK_COUNTS = ("least_trades", "least_trades_out")
WALK_LIMITS = {"accept_pf": (1.0, 100.0), "psi_limit": (0.0, 100.0)}
WALK_FIELDS = (*WALK_DAYS, "thetas", *WALK_COUNTS, *WALK_LIMITS)
_OWN = {
    "backtest": frozenset({"language"}),
    "sweep": frozenset({"axes"}),
    "calibrate": frozenset(WALK_FIELDS),
}


class InvalidRequest(Rejected):
    code = "invalid_research"


@dataclass(frozen=True, slots=True)
class ResearchRequest:
    """`from_ms`, `to_ms`: first decision and end, exclusive; None: all that is stored."""

    kind: str
    symbols: tuple[str, ...]
    config: StrategyConfig
    from_ms: int | None
    to_ms: int | None
    settings: BacktestSettings
    sweep: SweepSpec | None = None
    walk: WalkForward | None = None
    language: str = "en"
    """Of a backtest's report."""


def read_request(kind: str, params: Mapping[str, object], *, base: StrategyConfig) -> ResearchRequest:
    """`params`: symbols, config (changes to `base`), from, to (ISO, UTC), r_usd, equity_usd, taker_fee and maker_fee
    (ratios: 0.00055 is 0.055 %), anti_churn_s (between two entries of one side); a backtest's language (of its report);
    a sweep's axes {field: [values]}; a calibration's WALK_FIELDS.
    Raises InvalidRequest, InvalidConfig."""
    if kind not in KINDS:
        raise InvalidRequest(f"kind must be one of {', '.join(KINDS)}, got {kind!r}", field="kind")
    known = _COMMON | _OWN[kind]
    for name in params:
        if name not in known:
            raise InvalidRequest(
                f"a {kind} knows no field {name!r}; known are {', '.join(sorted(known))}", field=str(name)
            )
    changes = params.get("config", {})
    if not isinstance(changes, Mapping):
        raise InvalidRequest("config must be an object of strategy numbers", field="config")
    config = base.replaced(changes)
    first, last = _moment(params, "from"), _moment(params, "to")
    if first is not None and last is not None and first >= last:
        raise InvalidRequest("from must lie before to", field="from")
    return ResearchRequest(
        kind=kind,
        symbols=_symbols(params.get("symbols")),
        config=config,
        from_ms=first,
        to_ms=last,
        settings=BacktestSettings(
            r_usd=_positive(params, "r_usd", "100"),
            start_equity_usd=_positive(params, "equity_usd", "10000"),
            fees=read_fees(params.get("taker_fee"), params.get("maker_fee")),
            anti_churn_ms=1_000 * read_whole(params, "anti_churn_s", 900, 0, 86_400),
        ),
        sweep=SweepSpec(config, _axes(params.get("axes"))) if kind == "sweep" else None,
        walk=read_walk(params) if kind == "calibrate" else None,
        language=_language(params.get("language", "en")),
    )


def _language(value: object) -> str:
    if value not in LANGUAGES:
        raise InvalidRequest(f"language must be one of {', '.join(LANGUAGES)}, got {value!r}", field="language")
    return str(value)


def read_fees(taker: object, maker: object, *, names: tuple[str, str] = ("taker_fee", "maker_fee")) -> FeeRates:
    """None: Bybit's for an account without any rebate. Raises InvalidRequest, which says the field by its name."""
    usual = FeeRates()
    fees = FeeRates(
        usual.taker if taker is None else _fee(taker, names[0], lowest=Decimal(0)),
        usual.maker if maker is None else _fee(maker, names[1], lowest=-HIGHEST_FEE),
    )
    if fees.taker + fees.maker < 0:
        raise InvalidRequest(f"{names[1]} gives back more than {names[0]} takes", field=names[1])
    return fees


def _fee(raw: object, name: str, *, lowest: Decimal) -> Decimal:
    try:
        rate = Decimal(str(raw)) if isinstance(raw, str | int | float) and not isinstance(raw, bool) else None
    except InvalidOperation:
        rate = None
    if rate is None or not rate.is_finite() or not lowest <= rate <= HIGHEST_FEE:
        raise InvalidRequest(
            f"{name} must be a ratio from {plain(lowest)} to {HIGHEST_FEE} (0.00055 is 0.055 %), got {raw!r}",
            field=name,
        )
    return rate


def _symbols(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) and _SYMBOL.fullmatch(item) for item in value):
        raise InvalidRequest("symbols must be a list of names of capital letters and digits", field="symbols")
    unique = tuple(dict.fromkeys(value))
    if not 1 <= len(unique) <= MOST_SYMBOLS:
        raise InvalidRequest(f"symbols must be 1 to {MOST_SYMBOLS}, got {len(unique)}", field="symbols")
    return unique


def _axes(value: object) -> dict[str, tuple[ConfigValue, ...]]:
    if not isinstance(value, Mapping) or not value:
        raise InvalidRequest("axes must be an object of field: [values]", field="axes")
    known = {field.name for field in fields(StrategyConfig) if field.init}
    for name, values in value.items():
        if name not in known:
            raise InvalidRequest(f"axes: the strategy has no field {name!r}", field=f"axes.{name}")
        if not isinstance(values, list) or not values:
            raise InvalidRequest(f"axes: {name} needs a list of values", field=f"axes.{name}")
    return {str(name): tuple(values) for name, values in value.items()}


def read_walk(params: Mapping[str, object]) -> WalkForward:
    """Of `params` the WALK_FIELDS; what is not given stays usual. Raises InvalidRequest."""
    usual = WalkForward()
    days = [read_whole(params, name, getattr(usual, name), 1, MOST_DAYS) for name in WALK_DAYS]
    return replace(
        usual,
        train_days=days[0],
        test_days=days[1],
        step_days=days[2],
        short_train_days=min(usual.short_train_days, days[0]),
        thetas=_thetas(params["thetas"]) if "thetas" in params else usual.thetas,
        least_trades=read_whole(params, "least_trades", usual.least_trades, 1, MOST_TRADES),
        least_trades_out=read_whole(params, "least_trades_out", usual.least_trades_out, 1, MOST_TRADES),
        accept_pf=_limited(params, "accept_pf", usual.accept_pf),
        psi_limit=_limited(params, "psi_limit", usual.psi_limit),
    )


def _thetas(value: object) -> tuple[float, ...]:
    """Rising, each once: of equals the lowest is chosen."""
    numbers = [_float(item) for item in value] if isinstance(value, list) else []
    if not 1 <= len(numbers) <= MOST_THETAS or not all(0 <= number <= 1 for number in numbers):
        raise InvalidRequest(
            f"thetas must be a list of 1 to {MOST_THETAS} numbers from 0 to 1, got {value!r}", field="thetas"
        )
    return tuple(sorted(set(numbers)))


def _limited(params: Mapping[str, object], name: str, usual: float) -> float:
    low, high = WALK_LIMITS[name]
    value = _float(params.get(name, usual))
    if not low <= value <= high:
        raise InvalidRequest(f"{name} must be a number from {low:g} to {high:g}, got {params.get(name)!r}", field=name)
    return value


def _float(raw: object) -> float:
    """NaN for what is no number, which no limit lets pass."""
    try:
        return float(raw) if isinstance(raw, str | int | float) and not isinstance(raw, bool) else math.nan
    except (ValueError, OverflowError):
        return math.nan


def read_whole(params: Mapping[str, object], name: str, usual: int, low: int, high: int) -> int:
    value = params.get(name, usual)
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise InvalidRequest(f"{name} must be a whole number from {low} to {high}, got {value!r}", field=name)
    return value


def _positive(params: Mapping[str, object], name: str, usual: str) -> Decimal:
    raw = params.get(name, usual)
    try:
        value = Decimal(str(raw)) if isinstance(raw, str | int | float) and not isinstance(raw, bool) else Decimal(0)
    except InvalidOperation:
        value = Decimal(0)
    if not value.is_finite() or not 0 < value <= 1_000_000_000:
        raise InvalidRequest(f"{name} must be a number above 0 and up to 1e9, got {raw!r}", field=name)
    return value


def _moment(params: Mapping[str, object], name: str) -> int | None:
    raw = params.get(name)
    if raw is None:
        return None
    try:
        moment = datetime.fromisoformat(str(raw))
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return round(moment.timestamp() * 1000)
    except (ValueError, OverflowError):
        raise InvalidRequest(
            f"{name} must be a date like 2026-01-31 or a time like 2026-01-31T12:00, got {raw!r}", field=name
        ) from None
