"""theta(h): what each step of a calibration's walk chose for each UTC hour, ready to be coloured."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime

from trading.backtest.result import BacktestSettings
from trading.backtest.walk_forward import HourResult
from trading.models import ResearchKind, ResearchRun, ResearchStatus
from trading.selectors.research import used_proxy

DEFAULT_R_USD = BacktestSettings().r_usd


@dataclass(frozen=True, slots=True)
class HeatFold:
    """One step of the walk. `psi` above the limit made its training window shorter."""

    train_from: datetime
    train_to: datetime
    test_to: datetime
    psi: float


@dataclass(frozen=True, slots=True)
class HeatCell:
    """What training chose in one fold and hour; `theta` None: too few trades. `heat` 0..1 over the thetas searched."""

    theta: float | None
    heat: float | None
    train_pf: float | None
    train_trades: int
    test_trades: int


@dataclass(frozen=True, slots=True)
class HeatHour(HourResult):
    """One UTC hour as the calibration judged it, and its cells, one a fold, oldest first."""

    cells: tuple[HeatCell, ...]


@dataclass(frozen=True, slots=True)
class HeatMap:
    """`used_proxy`: imbalance was estimated from bars; `r_usd` is what sizes and refusals were worked out with."""

    run_id: int
    recent_psi: float
    used_proxy: bool
    r_usd: str
    is_of_files: bool
    folds: tuple[HeatFold, ...]
    hours: tuple[HeatHour, ...]


def heat_map(run: ResearchRun) -> HeatMap | None:
    """theta per hour and fold of a finished calibration; None for any other run."""
    if run.kind != ResearchKind.CALIBRATE or run.status != ResearchStatus.DONE or not run.result:
        return None
    folds, found = run.result["folds"], run.result
    chosen = [theta for fold in folds for theta in fold["thetas"] if theta is not None]
    low, high = min(chosen, default=0.0), max(chosen, default=0.0)
    return HeatMap(
        run_id=run.pk,
        recent_psi=found["recent_psi"],
        used_proxy=used_proxy(run),
        r_usd=str(run.params.get("r_usd", DEFAULT_R_USD)),
        is_of_files=bool(run.params.get("files")),
        folds=tuple(
            HeatFold(_utc(fold["train_from_ms"]), _utc(fold["train_to_ms"]), _utc(fold["test_to_ms"]), fold["psi"])
            for fold in folds
        ),
        hours=tuple(
            HeatHour(
                **{field.name: hour[field.name] for field in fields(HourResult)},
                cells=tuple(_cell(fold, hour["hour"], low, high) for fold in folds),
            )
            for hour in found["hours"]
        ),
    )


def _cell(fold: Mapping, hour: int, low: float, high: float) -> HeatCell:
    theta = fold["thetas"][hour]
    heat = None if theta is None else (theta - low) / (high - low) if high > low else 0.5
    return HeatCell(theta, heat, fold["train_pf"][hour], fold["train_trades"][hour], fold["test_trades"][hour])


def _utc(time_ms: int) -> datetime:
    return datetime.fromtimestamp(time_ms / 1000, UTC)
