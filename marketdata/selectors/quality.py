"""Everything suspicious about a series of bars. Reads a table of columns, wherever it came from."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from avigrid.exchange.kline_table import KlineTable
from marketdata.selectors.coverage import Coverage, holes_between

ZERO_RUN_BARS = 3
OUTLIER_SIGMAS = 20.0
OUTLIER_RATIO = 0.01


@dataclass(frozen=True, slots=True)
class Anomaly:
    kind: str
    """gap, ohlc, volume, zero_volume_run, outlier, misaligned, duplicates or descending."""
    start_ms: int
    end_ms: int
    """Open time of the first bar after it."""
    bars: int
    detail: str


@dataclass(frozen=True, slots=True)
class Quality:
    coverage: Coverage
    anomalies: tuple[Anomaly, ...]

    def count(self, kind: str) -> int:
        return sum(anomaly.kind == kind for anomaly in self.anomalies)


def examine(table: KlineTable) -> Quality:
    """The table must not be empty; its rows may break every rule."""
    step_ms = table.interval_ms
    aligned = table.start_ms[table.start_ms % step_ms == 0]
    holes = tuple(holes_between(aligned, step_ms))
    anomalies = [
        *_file_notes(table),
        *(Anomaly("gap", start, end, (end - start) // step_ms, "missing") for start, end in holes),
        *_each(table, "misaligned", table.start_ms % step_ms != 0, "start is no multiple of the interval"),
        *_ohlc(table),
        *_each(table, "volume", ~(np.isfinite(table.volume) & (table.volume >= 0)), "negative or no number"),
        *_zero_runs(table),
        *_outliers(table),
    ]
    coverage = Coverage(
        table.symbol, table.interval_min, len(table), int(table.start_ms[0]), int(table.start_ms[-1]), holes
    )
    return Quality(coverage, tuple(sorted(anomalies, key=lambda anomaly: anomaly.start_ms)))


def _file_notes(table: KlineTable) -> list[Anomaly]:
    first, end = int(table.start_ms[0]), int(table.start_ms[-1]) + table.interval_ms
    notes = []
    if table.was_descending:
        notes.append(Anomaly("descending", first, end, len(table), "rows run newest first"))
    if table.duplicates:
        notes.append(Anomaly("duplicates", first, end, table.duplicates, "starts that come more than once"))
    return notes


def _each(table: KlineTable, kind: str, mask: npt.NDArray[np.bool_], detail: str) -> list[Anomaly]:
    return [
        Anomaly(kind, int(table.start_ms[index]), int(table.start_ms[index]) + table.interval_ms, 1, detail)
        for index in np.flatnonzero(mask).tolist()
    ]


def _ohlc(table: KlineTable) -> list[Anomaly]:
    open_, high, low, close = table.open, table.high, table.low, table.close
    sound = (low > 0) & (low <= open_) & (low <= close) & (open_ <= high) & (close <= high) & np.isfinite(high)
    return [
        Anomaly(
            "ohlc",
            int(table.start_ms[index]),
            int(table.start_ms[index]) + table.interval_ms,
            1,
            f"open {open_[index]:g} high {high[index]:g} low {low[index]:g} close {close[index]:g}",
        )
        for index in np.flatnonzero(~sound).tolist()
    ]


def _zero_runs(table: KlineTable) -> list[Anomaly]:
    """Single quiet bars are normal; a run of them is a halt, or a recorder that repeated itself."""
    quiet = np.concatenate(([False], table.volume == 0, [False]))
    begins = np.flatnonzero(quiet[1:] & ~quiet[:-1])
    ends = np.flatnonzero(~quiet[1:] & quiet[:-1])
    return [
        Anomaly(
            "zero_volume_run",
            int(table.start_ms[begin]),
            int(table.start_ms[end - 1]) + table.interval_ms,
            end - begin,
            "no volume",
        )
        for begin, end in zip(begins.tolist(), ends.tolist(), strict=True)
        if end - begin >= ZERO_RUN_BARS
    ]


def _outliers(table: KlineTable) -> list[Anomaly]:
    """Closes that jump by more than 20 robust sigmas (median absolute deviation) and 1 %, between neighbouring bars."""
    if len(table) < 30:
        return []
    with np.errstate(divide="ignore", invalid="ignore"):
        moves = np.diff(np.log(table.close))
    neighbours = np.diff(table.start_ms) == table.interval_ms
    usable = moves[np.isfinite(moves)]
    if not len(usable):
        return []
    sigma = 1.4826 * float(np.median(np.abs(usable - np.median(usable))))
    limit = max(OUTLIER_SIGMAS * sigma, OUTLIER_RATIO)
    jumps = np.flatnonzero(neighbours & (np.abs(moves) > limit)) + 1
    return [
        Anomaly(
            "outlier",
            int(table.start_ms[index]),
            int(table.start_ms[index]) + table.interval_ms,
            1,
            f"close {table.close[index - 1]:g} to {table.close[index]:g} "
            f"({(table.close[index] / table.close[index - 1] - 1) * 100:+.2f} %)",
        )
        for index in jumps.tolist()
    ]
