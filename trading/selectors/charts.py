"""A symbol's chart as numbers: closed 5m bars and what AVI-5 measures on them; chart_levels.py has the rest."""

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from avigrid.exchange.kline_table import KlineTable
from marketdata.indicators import formulas
from marketdata.selectors import bars
from marketdata.selectors.times import to_datetime
from trading.avi5.config import StrategyConfig
from trading.selectors.chart_levels import lines, marks, version
from trading.selectors.strategy import active_version, config_of

INTERVAL_MIN = 5
BAR_MS = INTERVAL_MIN * 60_000
SHOWN_BARS = 500
MOST_BARS = 2_000

type Numbers = list[float | None]
type JsonValue = str | int | float | bool | None | Sequence[JsonValue] | Mapping[str, JsonValue]


def chart(
    symbol: str, account_id: int | None, *, end_ms: int | None = None, count: int = SHOWN_BARS
) -> dict[str, JsonValue]:
    """The newest `count` bars that closed before `end_ms` (None: now). NaN comes as null, times as Unix seconds."""
    config = _config()
    warmup = max(config.vwap_bars, config.donchian_bars)
    newest_ms = bars.newest_start_ms(symbol, INTERVAL_MIN)
    if newest_ms is None:
        return _empty(symbol, config)
    close_ms = min(end_ms, newest_ms + BAR_MS) if end_ms is not None else newest_ms + BAR_MS
    table = bars.newest_table(symbol, INTERVAL_MIN, close_ms, min(count, MOST_BARS) + warmup)
    if not len(table):
        return _empty(symbol, config)
    shown = slice(min(warmup, max(len(table) - 1, 0)), None)
    series = _series(table, config)
    times = table.start_ms[shown]
    since, until = to_datetime(int(times[0])), to_datetime(int(times[-1]) + BAR_MS)
    return {
        **_empty(symbol, config),
        "bars": [
            [int(t) // 1000, o, h, low, c, v]
            for t, o, h, low, c, v in zip(
                times.tolist(),
                table.open[shown].tolist(),
                table.high[shown].tolist(),
                table.low[shown].tolist(),
                table.close[shown].tolist(),
                table.volume[shown].tolist(),
                strict=True,
            )
        ],
        "series": {name: _numbers(values[shown]) for name, values in series.items()},
        "marks": [[m.bar_s, m.kind, m.direction, m.text] for m in marks(symbol, account_id, since, until)],
        "lines": [[x.price, x.kind, x.label, x.is_live] for x in lines(symbol, account_id)],
        "version": version(symbol, account_id),
        "has_more": len(table) > count,
    }


def _empty(symbol: str, config: StrategyConfig) -> dict[str, JsonValue]:
    return {
        "symbol": symbol,
        "interval_s": BAR_MS // 1000,
        "trigger_sigma_x": config.trigger_sigma_x,
        "max_sigma_x": config.max_sigma_x,
        "bars": [],
        "series": {},
        "marks": [],
        "lines": [],
        "version": "",
        "has_more": False,
    }


def _series(table: KlineTable, config: StrategyConfig) -> dict[str, npt.NDArray[np.float64]]:
    """By the plain formulas: a page's few hundred bars are done before the compiled ones would be loaded."""
    high, low, volume = table.high.tolist(), table.low.tolist(), table.volume.tolist()
    typical = ((table.high + table.low + table.close) / 3.0).tolist()
    ends = range(1, len(table) + 1)
    bands = [
        formulas.vwap_sigma(typical, volume, end - config.vwap_bars, end)
        if end >= config.vwap_bars
        else (formulas.NAN, formulas.NAN)
        for end in ends
    ]
    vwap, sigma = np.array(bands).T
    bars_before = config.donchian_bars
    near, far = config.trigger_sigma_x * sigma, config.max_sigma_x * sigma
    return {
        "vwap": vwap,
        "upper": vwap + near,
        "lower": vwap - near,
        "upper_far": vwap + far,
        "lower_far": vwap - far,
        "donchian_top": _before(formulas.highest, high, bars_before),
        "donchian_bottom": _before(formulas.lowest, low, bars_before),
    }


def _before(
    extreme: Callable[[Sequence[float], int, int], float], values: Sequence[float], count: int
) -> npt.NDArray[np.float64]:
    """Of the `count` bars before each."""
    return np.array([extreme(values, at - count, at) if at >= count else formulas.NAN for at in range(len(values))])


def _config() -> StrategyConfig:
    version = active_version()
    return config_of(version) if version else StrategyConfig()


def _numbers(values: npt.NDArray[np.float64]) -> Numbers:
    return [value if math.isfinite(value) else None for value in values.tolist()]
