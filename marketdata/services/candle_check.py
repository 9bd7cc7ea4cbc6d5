"""The door for bars: AVI-5 section 1. What does not pass is counted, logged and never used."""

from collections import Counter

import numpy as np
import numpy.typing as npt
import structlog

from avigrid.exchange.kline_table import KlineTable
from avigrid.kernel.errors import InvalidCandle
from avigrid.kernel.market import Kline
from marketdata.services import metrics

log = structlog.get_logger(__name__)


def candle_check(bar: Kline, *, source: str, now_ms: int) -> None:
    """Raises InvalidCandle, counted and logged, unless the bar may be used at `now_ms`."""
    reason = _problem(bar, now_ms)
    if reason is None:
        return
    metrics.INVALID_CANDLES.labels(source=source, reason=reason).inc()
    log.warning("invalid_candle", symbol=bar.symbol, interval_min=bar.interval_min, start_ms=bar.start_ms, why=reason)
    raise InvalidCandle(
        f"{bar.symbol} {bar.interval_min}m bar of {bar.start_ms}: {reason}",
        symbol=bar.symbol,
        interval_min=bar.interval_min,
        start_ms=bar.start_ms,
        reason=reason,
    )


def table_check(table: KlineTable, *, source: str, now_ms: int) -> tuple[npt.NDArray[np.bool_], Counter[str]]:
    """Mask of usable rows, and how many of the others fail for which reason (the first that applies)."""
    open_, high, low, close = table.open, table.high, table.low, table.close
    usable = np.ones(len(table), dtype=np.bool_)
    reasons: Counter[str] = Counter()
    tests = (
        ("misaligned", table.start_ms % table.interval_ms == 0),
        ("not_over", table.start_ms + table.interval_ms <= now_ms),
        (
            "inconsistent_prices",
            (low > 0) & (low <= open_) & (low <= close) & (open_ <= high) & (close <= high) & np.isfinite(high),
        ),
        ("negative_volume", (table.volume >= 0) & np.isfinite(table.volume)),
    )
    for reason, passes in tests:
        failing = int(np.count_nonzero(usable & ~passes))
        if failing:
            reasons[reason] = failing
            metrics.INVALID_CANDLES.labels(source=source, reason=reason).inc(failing)
            first_ms = int(table.start_ms[np.argmax(usable & ~passes)])
            log.warning(
                "invalid_candles",
                symbol=table.symbol,
                interval_min=table.interval_min,
                why=reason,
                count=failing,
                first_start_ms=first_ms,
            )
        usable &= passes
    return usable, reasons


def _problem(bar: Kline, now_ms: int) -> str | None:
    if not bar.confirmed:
        return "unconfirmed"
    if bar.start_ms % (bar.interval_min * 60_000):
        return "misaligned"
    if bar.end_ms > now_ms:
        return "not_over"
    # Written so that NaN fails every comparison.
    if not (0 < bar.low <= bar.open <= bar.high < np.inf and bar.low <= bar.close <= bar.high):
        return "inconsistent_prices"
    if not 0 <= bar.volume < np.inf:
        return "negative_volume"
    return None
