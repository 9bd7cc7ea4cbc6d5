"""Anomalies of a series, each planted by hand."""

from dataclasses import replace

import numpy as np

from avigrid.exchange.bybit.archives.klines import read_klines
from marketdata.selectors.quality import Anomaly, examine
from tests.support.bars import T0, saw_table

STEP_MS = 300_000


def calm_table(count: int):
    """Closes 1000, 1001, 1000, 1001 ...: moves of 0.1 %."""
    table = saw_table(count)
    close = 1000.0 + np.arange(count) % 2
    open_ = np.concatenate(([1000.0], close[:-1]))
    return replace(table, open=open_, high=np.maximum(open_, close), low=np.minimum(open_, close), close=close)


def test_a_sound_series_has_no_anomalies():
    report = examine(calm_table(100))
    assert report.anomalies == ()
    assert (report.coverage.bars, report.coverage.expected, report.coverage.missing) == (100, 100, 0)


def test_each_kind_is_named_with_its_place():
    table = calm_table(100)
    high, volume, close = table.high.copy(), table.volume.copy(), table.close.copy()
    high[10] = 999.0
    volume[20] = -1.0
    volume[30:33] = 0.0
    volume[40:42] = 0.0
    close[60] = 1100.0
    high[60:62] = 1101.0
    open_ = np.concatenate(([1000.0], close[:-1]))
    table = replace(table, open=open_, high=high, volume=volume, close=close)
    report = examine(table)
    assert [(anomaly.kind, (anomaly.start_ms - T0) // STEP_MS, anomaly.bars) for anomaly in report.anomalies] == [
        ("ohlc", 10, 1),
        ("volume", 20, 1),
        ("zero_volume_run", 30, 3),
        ("outlier", 60, 1),
        ("outlier", 61, 1),
    ]
    assert report.anomalies[3].detail == "close 1001 to 1100 (+9.89 %)"


def test_gaps_and_no_outlier_across_one():
    table = calm_table(100)
    close = table.close.copy()
    close[50:] += 500.0
    table = replace(table, open=close, high=close, low=close, close=close)
    keep = np.ones(100, dtype=bool)
    keep[[47, 48, 49]] = False
    report = examine(table.take(keep))
    assert report.anomalies == (Anomaly("gap", T0 + 47 * STEP_MS, T0 + 50 * STEP_MS, 3, "missing"),)
    assert (report.coverage.missing, report.coverage.ratio) == (3, 0.97)


def test_what_the_file_did_is_told():
    table = replace(calm_table(40), was_descending=True, duplicates=2)
    assert [(anomaly.kind, anomaly.bars) for anomaly in examine(table).anomalies] == [
        ("descending", 40),
        ("duplicates", 2),
    ]


def test_the_recorded_dirty_sample_has_exactly_its_42_holes(data_dir):
    report = examine(read_klines(data_dir / "dirty" / "BTCUSDT_1m_42gaps.csv.gz"))
    assert (report.count("gap"), report.coverage.missing, len(report.anomalies)) == (42, 42, 42)
    clean = examine(read_klines(data_dir / "klines_1m" / "BTCUSDT_1m.csv.gz"))
    assert (clean.count("gap"), clean.coverage.bars) == (0, 43_200)
