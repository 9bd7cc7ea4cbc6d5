"""Calibration of theta per UTC hour by walking forward: train, test on what follows, step on.

Every signal's plan is modelled once, on its own; an hour and a theta then pick their signals in time order, one plan
at a time, exactly as a replay with only that hour open would. A training trade counts only if it had closed before
training ended, so that no test bar can reach into training.
"""

import hashlib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt

from avigrid.kernel.errors import Rejected
from avigrid.kernel.instrument import Instrument
from trading.avi5.config import StrategyConfig
from trading.backtest.data import MarketData
from trading.backtest.metrics import profit_factor, win_rate
from trading.backtest.result import BacktestSettings
from trading.backtest.series import first_bar, indicator_series, lacks_books
from trading.backtest.signal_table import SignalTable, pick, signal_table

DAY_MS = 86_400_000
_BINS = 10
_LEAST_SHARE = 1e-4


class TooShort(Rejected):
    """Less history than one training and one test window."""

    code = "history_too_short"


@dataclass(frozen=True, slots=True)
class WalkForward:
    train_days: int = 180
    test_days: int = 30
    step_days: int = 30
    short_train_days: int = 90
    psi_limit: float = 0.2
    thetas: tuple[float, ...] = (0.15, 0.20, 0.25, 0.30, 0.35, 0.40, 0.45, 0.50)
    least_trades: int = 20
    """In training, for a theta to be chosen."""
    least_trades_out: int = 10
    """Out of sample, for an hour to be accepted: one lucky trade is no evidence."""
    accept_pf: float = 1.3
    fallback_theta: float = 0.35


@dataclass(frozen=True, slots=True)
class Fold:
    """One step of the walk; per hour the theta that training chose (None: too few trades).

    `psi` compares the newest month of the training window with what comes before it; above the limit the window was
    shortened. The test window plays no part in it.
    """

    train_from_ms: int
    train_to_ms: int
    test_to_ms: int
    psi: float
    thetas: tuple[float | None, ...]
    train_pf: tuple[float | None, ...]
    train_trades: tuple[int, ...]
    test_trades: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class HourResult:
    """`pf_in` of the last training, `pf_out` over all test windows, each with its own fold's theta; None: undefined."""

    hour: int
    theta: float
    chosen: float | None
    is_accepted: bool
    is_dead: bool
    pf_in: float | None
    pf_out: float | None
    trades_in: int
    trades_out: int
    why: str


@dataclass(frozen=True, slots=True)
class Tested:
    """The trades of all test windows and hours together, each hour as if only it were open."""

    trades: int
    win_rate: float | None
    profit_factor: float | None
    sum_r: float

    @classmethod
    def of(cls, rs: Sequence[float]) -> "Tested":
        return cls(len(rs), win_rate(rs), profit_factor(rs), math.fsum(rs))


@dataclass(frozen=True, slots=True)
class Calibration:
    symbols: tuple[str, ...]
    config_hash: str
    data_hash: str
    recent_psi: float
    """Scores of the newest month against the training window before it: how stale this calibration already is."""
    folds: tuple[Fold, ...]
    hours: tuple[HourResult, ...]
    used_proxy: bool = False
    """Of some bar no book was recorded: theta was compared with the bar proxy there."""
    tested: Tested | None = None
    """Out of sample with the thetas that training chose; an hour without one trades nothing."""
    tested_usual: Tested | None = None
    """The same windows with the usual theta in every hour: what calibrating is to be measured against."""

    def apply_to(self, config: StrategyConfig) -> StrategyConfig:
        """The config with this calibration's thetas and dead hours."""
        return config.replaced(
            {
                "theta_by_hour": {str(hour.hour): hour.theta for hour in self.hours},
                "dead_hours": [hour.hour for hour in self.hours if hour.is_dead],
            }
        )

    def to_json(self) -> str:
        return json.dumps(asdict(self), sort_keys=True, indent=1, allow_nan=False) + "\n"


def calibrate(
    loaded: Sequence[tuple[MarketData, Instrument]],
    config: StrategyConfig,
    *,
    settings: BacktestSettings | None = None,
    walk: WalkForward | None = None,
    from_ms: int | None = None,
    look_up: Callable[[], None] = lambda: None,
) -> Calibration:
    """Several symbols are judged together: one theta per hour for all of them.

    As in a backtest, decisions are taken on bars that close after `from_ms`. `look_up` is called now and then while
    it lasts and may end it by raising. Raises MissingWarmUp, TooShort.
    """
    settings, walk = settings or BacktestSettings(), walk or WalkForward()
    starts = [_first_warm(data, config, from_ms) for data, _ in loaded]
    start = max(start_ms for start_ms, _ in starts)
    end = min(int(data.bars_5m.start_ms[-1]) + 300_000 for data, _ in loaded)
    days = (end - start) / DAY_MS
    if days < walk.train_days + walk.test_days:
        raise TooShort(
            f"calibration needs {walk.train_days + walk.test_days} days of warm bars common to all symbols, "
            f"there are {days:.1f}",
            needed_days=walk.train_days + walk.test_days,
        )
    tables = []
    for data, instrument in loaded:
        look_up()
        tables.append(signal_table(data, instrument, config, settings, lowest_theta=min(walk.thetas)))
    folds: list[Fold] = []
    out: list[list[float]] = [[] for _ in range(24)]
    usual: list[float] = []
    last_in: list[list[float]] = [[] for _ in range(24)]
    for train_to in _train_ends(start, end, walk):
        look_up()
        psi = psi_at(tables, train_to, train_to - walk.train_days * DAY_MS, walk)
        train_days = walk.short_train_days if psi > walk.psi_limit else walk.train_days
        train_from, test_to = train_to - train_days * DAY_MS, train_to + walk.test_days * DAY_MS
        chosen: list[float | None] = []
        pfs: list[float | None] = []
        counts_in: list[int] = []
        counts_out: list[int] = []
        for hour in range(24):
            theta, rs = _train_hour(tables, hour, train_from, train_to, settings, walk)
            tested: list[float] = []
            if theta is not None:
                tested = [r for t in tables for r in pick(t, hour, theta, train_to, test_to, settings).tolist()]
            out[hour] += tested
            for table in tables:
                usual += pick(table, hour, walk.fallback_theta, train_to, test_to, settings).tolist()
            last_in[hour] = rs
            chosen.append(theta)
            pfs.append(profit_factor(rs))
            counts_in.append(len(rs))
            counts_out.append(len(tested))
        folds.append(
            Fold(train_from, train_to, test_to, psi, tuple(chosen), tuple(pfs), tuple(counts_in), tuple(counts_out))
        )
    hours = tuple(_judge(hour, folds[-1].thetas[hour], last_in[hour], out[hour], walk) for hour in range(24))
    joint = hashlib.sha256("".join(data.data_hash for data, _ in loaded).encode()).hexdigest()[:16]
    return Calibration(
        symbols=tuple(data.symbol for data, _ in loaded),
        config_hash=config.config_hash,
        data_hash=joint,
        recent_psi=psi_at(tables, end, end - (walk.train_days + walk.test_days) * DAY_MS, walk),
        folds=tuple(folds),
        hours=hours,
        used_proxy=any(used_proxy for _, used_proxy in starts),
        tested=Tested.of([r for rs in out for r in rs]),
        tested_usual=Tested.of(usual),
    )


def _train_ends(start_ms: int, end_ms: int, walk: WalkForward) -> list[int]:
    """Oldest first; the last test window ends with the data, so that the newest month is always tested on."""
    ends = []
    train_to = end_ms - walk.test_days * DAY_MS
    while train_to - walk.train_days * DAY_MS >= start_ms:
        ends.append(train_to)
        train_to -= walk.step_days * DAY_MS
    return ends[::-1]


def population_stability(reference: npt.NDArray[np.float64], recent: npt.NDArray[np.float64]) -> float:
    """PSI over tenths of the reference: sum((q - p) * ln(q / p)); 0 for too little to compare."""
    if len(reference) < _BINS or len(recent) < _BINS:
        return 0.0
    edges = np.quantile(reference, np.linspace(0, 1, _BINS + 1)[1:-1])
    p = np.bincount(np.searchsorted(edges, reference), minlength=_BINS) / len(reference)
    q = np.bincount(np.searchsorted(edges, recent), minlength=_BINS) / len(recent)
    p, q = np.maximum(p, _LEAST_SHARE), np.maximum(q, _LEAST_SHARE)
    return float(np.sum((q - p) * np.log(q / p)))


def psi_at(tables: Sequence[SignalTable], end_ms: int, from_ms: int, walk: WalkForward) -> float:
    """Scores of the `test_days` before `end_ms` against those from `from_ms` up to them."""
    cut = end_ms - walk.test_days * DAY_MS
    recent = np.concatenate([t.score[(t.decided_ms >= cut) & (t.decided_ms < end_ms)] for t in tables])
    earlier = np.concatenate([t.score[(t.decided_ms >= from_ms) & (t.decided_ms < cut)] for t in tables])
    return population_stability(earlier, recent)


def _train_hour(
    tables: Sequence[SignalTable], hour: int, from_ms: int, to_ms: int, settings: BacktestSettings, walk: WalkForward
) -> tuple[float | None, list[float]]:
    """The theta with the best profit factor among those with enough trades, the lowest of equals; its trades."""
    best: tuple[float, float, list[float]] | None = None
    for theta in walk.thetas:
        rs = [r for t in tables for r in pick(t, hour, theta, from_ms, to_ms, settings, closed_by_ms=to_ms).tolist()]
        if len(rs) < walk.least_trades:
            continue
        factor = profit_factor(rs)
        value = math.inf if factor is None else factor
        if best is None or value > best[0]:
            best = (value, theta, rs)
    if best is None:
        return None, []
    return best[1], best[2]


def _judge(hour: int, chosen: float | None, rs_in: list[float], rs_out: list[float], walk: WalkForward) -> HourResult:
    pf_in, pf_out = profit_factor(rs_in), profit_factor(rs_out)
    value_in = _worth(pf_in, rs_in)
    value_out = _worth(pf_out, rs_out)
    has_enough = len(rs_out) >= walk.least_trades_out
    accepted = chosen is not None and has_enough and value_out is not None and value_out >= walk.accept_pf
    dead = value_in is not None and value_out is not None and value_in < 1 and value_out < 1
    if chosen is None:
        why = f"no theta had {walk.least_trades} training trades"
    elif value_out is None:
        why = "no trades out of sample"
    elif not has_enough:
        why = f"{len(rs_out)} trades out of sample, {walk.least_trades_out} are needed"
    elif accepted:
        why = "accepted"
    else:
        why = f"out-of-sample profit factor below {walk.accept_pf:g}"
    return HourResult(
        hour=hour,
        theta=chosen if accepted and chosen is not None else walk.fallback_theta,
        chosen=chosen,
        is_accepted=accepted,
        is_dead=dead,
        pf_in=pf_in,
        pf_out=pf_out,
        trades_in=len(rs_in),
        trades_out=len(rs_out),
        why=why + ("; dead: below 1 in and out of sample" if dead else ""),
    )


def _worth(factor: float | None, rs: Sequence[float]) -> float | None:
    """The profit factor, infinite where nothing was lost, None without trades."""
    if not rs:
        return None
    return math.inf if factor is None else factor


def _first_warm(data: MarketData, config: StrategyConfig, from_ms: int | None) -> tuple[int, bool]:
    """When the first warm bar from `from_ms` on closed, and whether a book is missing from there on."""
    series = indicator_series(data, config)
    first = first_bar(data, series, config, from_ms)
    first += int(np.argmax(series.is_warm[first:]))
    return int(series.close_ms[first]), lacks_books(data, series, first)


def heat_map(calibration: Calibration) -> Mapping[int, tuple[float | None, ...]]:
    """Hour -> the theta that each fold chose: how steady the choice is over time."""
    return {hour: tuple(fold.thetas[hour] for fold in calibration.folds) for hour in range(24)}
