"""Measures of a replay. A ratio that has no meaning (no losses, no trades) is None, never a flattering number."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from trading.backtest.result import PlanResult, SymbolResult

type Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Group:
    """Traded plans of one kind (hour, symbol, direction)."""

    name: str
    trades: int
    win_rate: float | None
    profit_factor: float | None
    expectancy_r: float | None
    net_usd: float


@dataclass(frozen=True, slots=True)
class RungRow:
    """Exits of one rung and cycle (of one take-profit in a swing), before funding."""

    rung: int
    cycle: int
    exits: int
    take_profits: int
    net_usd: float


@dataclass(frozen=True, slots=True)
class Metrics:
    """`max_drawdown_*` is measured on equity at bar closes, open loss included. Money in USD, ratios of 1."""

    bars: int
    signals: int
    plans: int
    trades: int
    """Plans in which something filled."""
    win_rate: float | None
    profit_factor: float | None
    expectancy_r: float | None
    sum_r: float
    median_r: float | None
    best_r: float | None
    worst_r: float | None
    max_drawdown_usd: float
    max_drawdown_r: float
    max_drawdown_ratio: float
    """Of start equity plus the peak before it."""
    exposure_ratio: float
    """Share of bars with a position."""
    turnover_usd: float
    gross_usd: float
    fees_usd: float
    funding_usd: float
    slippage_usd: float
    """Already inside gross."""
    net_usd: float
    average_hold_min: float | None
    average_cost_r: float | None
    reasons: dict[str, int]
    skipped: dict[str, int]
    by_hour: tuple[Group, ...]
    by_symbol: tuple[Group, ...]
    by_direction: tuple[Group, ...]
    by_rung: tuple[RungRow, ...]


def win_rate(rs: Sequence[float]) -> float | None:
    return sum(r > 0 for r in rs) / len(rs) if rs else None


def profit_factor(rs: Sequence[float]) -> float | None:
    """Won over lost; None without a loss."""
    lost = -math.fsum(r for r in rs if r < 0)
    return math.fsum(r for r in rs if r > 0) / lost if lost > 0 else None


def expectancy(rs: Sequence[float]) -> float | None:
    return math.fsum(rs) / len(rs) if rs else None


def max_drawdown(equity: Floats) -> tuple[float, int]:
    """The deepest fall from an earlier peak (the start counts as one) and the index of its bottom."""
    if not len(equity):
        return 0.0, 0
    peaks = np.maximum.accumulate(np.maximum(equity, 0.0))
    falls = peaks - equity
    bottom = int(np.argmax(falls))
    return float(falls[bottom]), bottom


def joint_equity(results: Sequence[SymbolResult]) -> tuple[npt.NDArray[np.int64], Floats]:
    """Profit and loss of all symbols together on the union of their bars."""
    times = np.unique(np.concatenate([result.start_ms for result in results]))
    total = np.zeros(len(times))
    for result in results:
        at = np.searchsorted(result.start_ms, times, side="right") - 1
        total += np.where(at >= 0, result.equity_usd[np.maximum(at, 0)], 0.0)
    return times, total


def measure(results: Sequence[SymbolResult]) -> Metrics:
    plans = [plan for result in results for plan in result.plans]
    traded = [plan for plan in plans if plan.is_traded]
    rs = [plan.r for plan in traded]
    _, equity = joint_equity(results)
    fall, bottom = max_drawdown(equity)
    start = float(results[0].settings.start_equity_usd)
    peak = start + float(np.maximum.accumulate(np.maximum(equity, 0.0))[bottom]) if len(equity) else start
    bars = sum(len(result.start_ms) for result in results)
    skipped: Counter[str] = Counter()
    for result in results:
        skipped.update(result.skipped)
    return Metrics(
        bars=bars,
        signals=sum(result.signals for result in results),
        plans=len(plans),
        trades=len(traded),
        win_rate=win_rate(rs),
        profit_factor=profit_factor(rs),
        expectancy_r=expectancy(rs),
        sum_r=math.fsum(rs),
        median_r=float(np.median(rs)) if rs else None,
        best_r=max(rs, default=None),
        worst_r=min(rs, default=None),
        max_drawdown_usd=fall,
        max_drawdown_r=fall / float(results[0].settings.r_usd),
        max_drawdown_ratio=fall / peak,
        exposure_ratio=sum(int(result.in_position.sum()) for result in results) / bars,
        turnover_usd=float(sum(plan.turnover_usd for plan in traded)),
        gross_usd=float(sum(plan.gross_usd for plan in traded)),
        fees_usd=float(sum(plan.fees_usd for plan in traded)),
        funding_usd=float(sum(plan.funding_usd for plan in traded)),
        slippage_usd=float(sum(plan.slippage_usd for plan in traded)),
        net_usd=float(sum(plan.net_usd for plan in traded)),
        average_hold_min=expectancy([(plan.closed_ms - plan.decided_ms) / 60_000 for plan in traded]),
        average_cost_r=expectancy([plan.cost_r for plan in traded]),
        reasons=dict(sorted(Counter(plan.reason for plan in plans).items())),
        skipped=dict(sorted(skipped.items())),
        by_hour=tuple(_group(f"{hour:02d}", [p for p in traded if p.hour == hour]) for hour in range(24)),
        by_symbol=tuple(_group(r.symbol, [p for p in r.plans if p.is_traded]) for r in results),
        by_direction=(
            _group("long", [p for p in traded if p.direction > 0]),
            _group("short", [p for p in traded if p.direction < 0]),
        ),
        by_rung=_by_rung(traded),
    )


def _group(name: str, plans: Sequence[PlanResult]) -> Group:
    rs = [plan.r for plan in plans]
    net = float(sum(plan.net_usd for plan in plans))
    return Group(name, len(plans), win_rate(rs), profit_factor(rs), expectancy(rs), net)


def _by_rung(plans: Iterable[PlanResult]) -> tuple[RungRow, ...]:
    rows: dict[tuple[int, int], list[float]] = {}
    for plan in plans:
        for leg in plan.legs:
            row = rows.setdefault((leg.rung, leg.cycle), [0, 0, 0.0])
            row[0] += 1
            row[1] += leg.exit == "take_profit"
            row[2] += float(leg.net_usd)
    return tuple(RungRow(r, c, int(n), int(tps), net) for (r, c), (n, tps, net) in sorted(rows.items()))
