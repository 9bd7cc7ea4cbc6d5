"""Every signal of a symbol with what its plan alone came to, and the choice among them that a replay would make."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from avigrid.kernel.instrument import Instrument
from trading.avi5.config import StrategyConfig
from trading.backtest.compiled import arrays_for, outcomes
from trading.backtest.data import MarketData
from trading.backtest.result import BacktestSettings
from trading.backtest.series import book_columns, candidates, indicator_series

_DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True, eq=False)
class SignalTable:
    """Signals at the lowest theta, oldest first, with what their plan came to. Arrays of one length."""

    decided_ms: npt.NDArray[np.int64]
    closed_ms: npt.NDArray[np.int64]
    direction: npt.NDArray[np.int64]
    hour: npt.NDArray[np.int64]
    strength: npt.NDArray[np.float64]
    """Imbalance in the signal's direction: what theta is compared with."""
    score: npt.NDArray[np.float64]
    r: npt.NDArray[np.float64]
    is_traded: npt.NDArray[np.bool_]
    bar: npt.NDArray[np.int64]
    last_bar: npt.NDArray[np.int64]


def signal_table(
    data: MarketData,
    instrument: Instrument,
    config: StrategyConfig,
    settings: BacktestSettings,
    *,
    lowest_theta: float,
) -> SignalTable:
    """Every signal that some theta from `lowest_theta` on lets through."""
    open_config = config.replaced({"theta": lowest_theta, "theta_by_hour": {}, "dead_hours": []})
    series = indicator_series(data, open_config)
    screen = candidates(data, series, open_config, settings.fees)
    bars = np.flatnonzero(screen)
    found = outcomes(
        arrays_for(data, open_config, instrument),
        bars.tolist(),
        screen[bars].tolist(),
        open_config,
        instrument=instrument,
        settings=settings,
    )
    at = found.bar
    imbalance = book_columns(data, series, open_config)[0][at]
    last_bar = np.searchsorted(data.fine_of_5m, found.last_fine, side="right") - 1
    away = np.abs(series.close[at] - series.vwap[at])
    reach = np.where(series.sigma[at] > 0, np.minimum(away / (3 * np.maximum(series.sigma[at], 1e-300)), 1.0), 1.0)
    return SignalTable(
        decided_ms=series.close_ms[at],
        closed_ms=series.close_ms[last_bar],
        direction=found.direction,
        hour=series.close_ms[at] // 3_600_000 % 24,
        strength=found.direction * imbalance,
        score=0.5 * reach + 0.5 * np.minimum(np.abs(imbalance), 1.0),
        r=found.net_usd / float(settings.r_usd),
        is_traded=found.is_traded,
        bar=at,
        last_bar=last_bar,
    )


def pick(
    table: SignalTable,
    hour: int,
    theta: float,
    from_ms: int,
    to_ms: int,
    settings: BacktestSettings,
    *,
    closed_by_ms: int | None = None,
) -> npt.NDArray[np.float64]:
    """R of the trades that a replay with only this hour open would have taken in [from_ms, to_ms)."""
    fits = np.flatnonzero(
        (table.hour == hour) & (table.strength >= theta) & (table.decided_ms >= from_ms) & (table.decided_ms < to_ms)
    )
    taken: list[float] = []
    free_from = -1
    last_entry: dict[int, int] = {}
    for s in fits.tolist():
        direction, decided = int(table.direction[s]), int(table.decided_ms[s])
        if table.bar[s] < free_from or decided - last_entry.get(direction, -_DAY_MS) < settings.anti_churn_ms:
            continue
        free_from = int(table.last_bar[s])
        if table.is_traded[s]:
            last_entry[direction] = decided
            if closed_by_ms is None or table.closed_ms[s] <= closed_by_ms:
                taken.append(float(table.r[s]))
    return np.array(taken)
