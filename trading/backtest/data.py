"""What a replay runs on: bars of one symbol, funding, and a hash of all of it."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from avigrid.kernel.errors import InvalidCandle, Rejected
from avigrid.kernel.market import BookFeatures
from trading.avi5.window import BAR_5M_MS, BAR_15M_MS, Bars, check_continuous

FUNDING_MS = 8 * 3_600_000
DEFAULT_FUNDING_RATE = 0.0001
type Floats = npt.NDArray[np.float64]
type Ints = npt.NDArray[np.int64]


class EmptyRange(Rejected):
    """There is nothing to replay between the two dates."""

    code = "empty_range"


@dataclass(frozen=True, slots=True, eq=False)
class FundingHistory:
    """Recorded rates, oldest first; a positive rate is paid by longs."""

    time_ms: Ints
    rate: Floats

    @classmethod
    def of(cls, pairs: Sequence[tuple[int, float]]) -> "FundingHistory":
        """(time_ms, rate) in any order."""
        ordered = sorted(pairs)
        return cls(
            np.array([time_ms for time_ms, _ in ordered], dtype=np.int64),
            np.array([rate for _, rate in ordered], dtype=np.float64),
        )

    def rates_at(self, times_ms: Ints) -> tuple[Floats, int]:
        """The rate of each funding moment, the default where none was recorded, and how many were missing."""
        known = {int(t) // 60_000: float(r) for t, r in zip(self.time_ms, self.rate, strict=True)}
        rates = [known.get(int(t) // 60_000) for t in times_ms]
        return (
            np.array([DEFAULT_FUNDING_RATE if rate is None else rate for rate in rates], dtype=np.float64),
            sum(rate is None for rate in rates),
        )


NO_FUNDING_HISTORY = FundingHistory(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.float64))


@dataclass(frozen=True, slots=True, eq=False)
class BookSeries:
    """Book features as recorded at each 5m close; `has_book` False: none was recorded, the bar proxy stands in."""

    has_book: npt.NDArray[np.bool_]
    time_ms: Ints
    mid: Floats
    imbalance: Floats
    microprice: Floats
    spread_bps: Floats
    depth_usd: Floats

    def at(self, symbol: str, i: int) -> BookFeatures | None:
        if not self.has_book[i]:
            return None
        return BookFeatures(
            symbol=symbol,
            time_ms=int(self.time_ms[i]),
            mid=float(self.mid[i]),
            imbalance=float(self.imbalance[i]),
            microprice=float(self.microprice[i]),
            spread_bps=float(self.spread_bps[i]),
            depth_usd=float(self.depth_usd[i]),
        )


def book_series(bars_5m: Bars, features: Mapping[int, BookFeatures]) -> BookSeries:
    """`features` by the open time of the bar they were sampled at the close of."""
    found = [features.get(int(start)) for start in bars_5m.start_ms]

    def column(name: str) -> Floats:
        return np.array([np.nan if f is None else getattr(f, name) for f in found], dtype=np.float64)

    return BookSeries(
        has_book=np.array([f is not None for f in found], dtype=np.bool_),
        time_ms=np.array([0 if f is None else f.time_ms for f in found], dtype=np.int64),
        mid=column("mid"),
        imbalance=column("imbalance"),
        microprice=column("microprice"),
        spread_bps=column("spread_bps"),
        depth_usd=column("depth_usd"),
    )


@dataclass(frozen=True, slots=True, eq=False)
class MarketData:
    """`bars_5m` decide. Fills are looked up in `fine`, which is the same series or holds 1m bars where they exist.

    `fine_of_5m[i]` is the index of the first fine bar of 5m bar i; one entry more closes the last.
    """

    symbol: str
    bars_5m: Bars
    bars_15m: Bars
    fine: Bars
    fine_of_5m: Ints
    funding: FundingHistory
    book: BookSeries
    is_15m_aggregated: bool
    one_minute_share: float
    """Share of 5m bars whose fills are modelled on 1m bars."""
    data_hash: str


def prepare(
    symbol: str,
    bars_5m: Bars,
    *,
    bars_15m: Bars | None = None,
    bars_1m: Bars | None = None,
    funding: FundingHistory = NO_FUNDING_HISTORY,
    features: Mapping[int, BookFeatures] | None = None,
) -> MarketData:
    """Checks the bars and puts them together; without 15m bars they are made of the 5m ones."""
    if not len(bars_5m):
        raise EmptyRange(f"{symbol}: no 5m bars to replay", symbol=symbol)
    for bars in filter(None, (bars_5m, bars_15m, bars_1m)):
        _check_values(symbol, bars)
    _check_interval(symbol, bars_5m, BAR_5M_MS)
    trend_bars = aggregate(bars_5m, BAR_5M_MS, BAR_15M_MS) if bars_15m is None else bars_15m
    _check_interval(symbol, trend_bars, BAR_15M_MS)
    fine, fine_of_5m, share = _merge_fine(bars_5m, bars_1m)
    book = book_series(bars_5m, features or {})
    return MarketData(
        symbol=symbol,
        bars_5m=bars_5m,
        bars_15m=trend_bars,
        fine=fine,
        fine_of_5m=fine_of_5m,
        funding=funding,
        book=book,
        is_15m_aggregated=bars_15m is None,
        one_minute_share=share,
        data_hash=hash_of(symbol, [bars_5m, trend_bars, fine], funding, book),
    )


def aggregate(bars: Bars, step_ms: int, wide_ms: int) -> Bars:
    """Wider bars from narrower ones; a wide bar that is not covered whole is left out."""
    per = wide_ms // step_ms
    offset = int(-bars.start_ms[0] // step_ms % per) if len(bars) else 0
    count = max(0, (len(bars) - offset) // per)
    cut = slice(offset, offset + count * per)

    def grouped(values: Floats) -> Floats:
        return values[cut].reshape(count, per)

    return Bars(
        bars.start_ms[cut].reshape(count, per)[:, 0].copy(),
        grouped(bars.open)[:, 0].copy(),
        grouped(bars.high).max(axis=1, initial=-np.inf),
        grouped(bars.low).min(axis=1, initial=np.inf),
        grouped(bars.close)[:, -1].copy(),
        grouped(bars.volume).sum(axis=1),
    )


def between(bars: Bars, from_ms: int | None, to_ms: int | None) -> Bars:
    """Bars that start in [from_ms, to_ms)."""
    first = 0 if from_ms is None else int(np.searchsorted(bars.start_ms, from_ms))
    last = len(bars) if to_ms is None else int(np.searchsorted(bars.start_ms, to_ms))
    return bars.part(first, max(first, last))


def hash_of(symbol: str, series: Sequence[Bars], funding: FundingHistory, book: BookSeries) -> str:
    """16 hex digits over every value the replay reads."""
    digest = hashlib.sha256(symbol.encode())
    for bars in series:
        for values in (bars.start_ms, bars.open, bars.high, bars.low, bars.close, bars.volume):
            digest.update(np.ascontiguousarray(values).tobytes())
    digest.update(funding.time_ms.tobytes())
    digest.update(funding.rate.tobytes())
    for name in ("has_book", "time_ms", "mid", "imbalance", "microprice", "spread_bps", "depth_usd"):
        digest.update(getattr(book, name).tobytes())
    return digest.hexdigest()[:16]


def _check_interval(symbol: str, bars: Bars, step_ms: int) -> None:
    """A series of other bars altogether is told apart from one with holes."""
    steps = np.diff(bars.start_ms)
    closest_ms = int(steps.min()) if len(steps) else step_ms
    if closest_ms != step_ms:
        raise InvalidCandle(
            f"{symbol}: bars are {closest_ms / 1000:g} s apart, wanted are bars of {step_ms // 60_000} minutes",
            code="wrong_interval",
            symbol=symbol,
        )
    check_continuous(bars, step_ms)


def _check_values(symbol: str, bars: Bars) -> None:
    low_ok = (bars.low <= np.minimum(bars.open, bars.close)) & (bars.low > 0)
    high_ok = bars.high >= np.maximum(bars.open, bars.close)
    bad = np.flatnonzero(~(low_ok & high_ok & (bars.volume >= 0) & np.isfinite(bars.high)))
    if len(bad):
        at = int(bars.start_ms[bad[0]])
        raise InvalidCandle(
            f"{symbol}: {len(bad)} bars break low <= open, close <= high or volume >= 0, the first starts at {at}",
            symbol=symbol,
            start_ms=at,
        )


def _merge_fine(bars_5m: Bars, bars_1m: Bars | None) -> tuple[Bars, Ints, float]:
    """Each 5m bar is replaced by its five 1m bars where all five exist and agree with its extremes."""
    count = len(bars_5m)
    if bars_1m is None or not len(bars_1m):
        return bars_5m, np.arange(count + 1, dtype=np.int64), 0.0
    first = np.searchsorted(bars_1m.start_ms, bars_5m.start_ms)
    last = np.searchsorted(bars_1m.start_ms, bars_5m.start_ms + BAR_5M_MS)
    pieces: list[Bars] = []
    sizes = np.ones(count, dtype=np.int64)
    coarse_from = 0
    for i in range(count):
        a, b = int(first[i]), int(last[i])
        is_whole = (
            b - a == 5 and bars_1m.high[a:b].max() == bars_5m.high[i] and bars_1m.low[a:b].min() == bars_5m.low[i]
        )
        if is_whole:
            pieces += [bars_5m.part(coarse_from, i), bars_1m.part(a, b)]
            sizes[i], coarse_from = 5, i + 1
    pieces.append(bars_5m.part(coarse_from, count))
    merged = Bars(
        *(
            np.concatenate([getattr(piece, name) for piece in pieces])
            for name in ("start_ms", "open", "high", "low", "close", "volume")
        )
    )
    return merged, np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64), float((sizes == 5).mean())
