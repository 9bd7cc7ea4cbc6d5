"""The pipeline's Storage on the real services."""

from collections.abc import Sequence
from dataclasses import replace

from avigrid.common.leases import HeldLease
from avigrid.exchange.ports import MarketReader
from avigrid.kernel.market import BookFeatures, BookUpdate, Kline, PublicTrade
from marketdata.models import KlineSource
from marketdata.runtime.options import PipelineOptions
from marketdata.runtime.recovery import Recovery
from marketdata.selectors.bars import newest_start_ms, range_table
from marketdata.selectors.book_features import book_features
from marketdata.selectors.coverage import Range
from marketdata.selectors.public_trades import newest_trade_ms, trade_is_stored
from marketdata.selectors.times import floor_to
from marketdata.services import metrics
from marketdata.services.bar_store import BarOutcome, bar_store
from marketdata.services.gaps import TAPE, gap_fill, gaps_record, gaps_settle
from marketdata.services.klines import BulkOutcome, klines_store
from marketdata.services.order_book_log import order_book_log_store
from marketdata.services.public_trades import public_trades_store

_LATE_REASONS = ("late_bar", "late_companion")
_REACH_MS = 7 * 86_400_000
_LATE_UNTIL_MS = 30_000
"""A bar the venue does not give this long after its end will not come: a hole."""


class DatabaseStorage:
    def __init__(self, reader: MarketReader, options: PipelineOptions) -> None:
        self._reader = reader
        self._options = options

    def bar(self, bar: Kline, features: BookFeatures | None, *, now_ms: int, lease: HeldLease | None) -> None:
        bar_store(bar=bar, features=self._as_decided(features, bar), now_ms=now_ms, lease=lease)

    def _as_decided(self, features: BookFeatures | None, bar: Kline) -> BookFeatures | None:
        """With its age on the wall, by which a decision judges whether it is too old: a replay must see the same."""
        rate = max(self._options.rate_ratio, 1.0)
        if features is None or rate == 1.0:
            return features
        return replace(features, time_ms=bar.end_ms + int((features.time_ms - bar.end_ms) / rate))

    def recover(
        self,
        symbol: str,
        since_ms: dict[int, int],
        *,
        now_ms: int,
        features: BookFeatures | None,
        reason: str,
        lease: HeldLease | None,
    ) -> Recovery:
        def store(bars: Sequence[Kline]) -> BulkOutcome:
            return self._store_recovered(bars, features, now_ms=now_ms, lease=lease)

        until: dict[int, int] = {}
        fetched = 0
        late = False
        for interval_min, start_ms in since_ms.items():
            has_history = True
            if reason == "start":
                start_ms, has_history = self._start_of(symbol, interval_min, start_ms, now_ms)
            outcome = gap_fill(
                reader=self._reader,
                symbol=symbol,
                interval_min=interval_min,
                start_ms=start_ms,
                end_ms=now_ms,
                now_ms=now_ms,
                reason=reason,
                record=has_history and reason not in _LATE_REASONS,
                store=store,
            )
            end_ms = floor_to(now_ms, interval_min)
            if outcome.remaining and outcome.remaining[-1][1] == end_ms and now_ms - end_ms < _LATE_UNTIL_MS:
                late = True
                end_ms = outcome.remaining[-1][0]
            if reason in _LATE_REASONS:
                self._record_late(symbol, interval_min, outcome.missing, end_ms, now_ms)
            until[interval_min] = end_ms
            fetched += len(outcome.bars)
            metrics.CATCH_UP_BARS.labels(interval=interval_min).inc(len(outcome.bars))
        interval_min = self._options.decision_interval_min
        first_ms = since_ms[interval_min]
        stored = range_table(symbol, interval_min, first_ms, until[interval_min])
        sampled = book_features(symbol, first_ms, until[interval_min], interval_min=interval_min)
        decisions = tuple((bar, sampled.get(bar.start_ms)) for bar in stored.klines())
        return Recovery(until, fetched, late, decisions[-self._options.max_recovered_decisions :])

    def _record_late(self, symbol: str, interval_min: int, missing: Sequence[Range], end_ms: int, now_ms: int) -> None:
        """A bar that is seconds late is no gap before the venue has answered for it."""
        ranges = [(start_ms, min(until_ms, end_ms)) for start_ms, until_ms in missing if start_ms < end_ms]
        if ranges:
            gaps_record(
                symbol=symbol, interval_min=interval_min, ranges=ranges, now_ms=now_ms, reason="not confirmed in time"
            )
            gaps_settle(symbol=symbol, interval_min=interval_min, now_ms=now_ms)

    def _start_of(self, symbol: str, interval_min: int, start_ms: int, now_ms: int) -> tuple[int, bool]:
        """Where a starting worker looks from, and whether what is missing is a gap: nobody may have been here for days.

        What is older than a week is only recorded, for `backfill` to fill.
        """
        newest_ms = newest_start_ms(symbol, interval_min)
        if newest_ms is None:
            return start_ms, False
        end_ms = newest_ms + interval_min * 60_000
        reach_ms = floor_to(now_ms - _REACH_MS, interval_min)
        if end_ms < reach_ms:
            hole = [(end_ms, reach_ms)]
            gaps_record(symbol=symbol, interval_min=interval_min, ranges=hole, now_ms=now_ms, reason="nobody was here")
        return max(min(start_ms, end_ms), reach_ms), True

    def recover_tape(self, symbol: str, *, now_ms: int) -> None:
        """What the venue still gives; where that does not reach back to what we have, the hole is recorded.

        The stream may be back already and its new trades stored: the question is what lies before the venue's oldest.
        """
        trades = self._reader.recent_trades(symbol, 1000)
        if not trades:
            return
        oldest = min(trades, key=lambda trade: trade.time_ms)
        before_ms = None if trade_is_stored(oldest) else newest_trade_ms(symbol, before_ms=oldest.time_ms)
        public_trades_store(trades)
        if before_ms is not None and before_ms + 1 < oldest.time_ms:
            hole = [(before_ms + 1, oldest.time_ms)]
            gaps_record(symbol=symbol, interval_min=TAPE, ranges=hole, now_ms=now_ms, reason="tape interrupted")

    def trades(self, trades: Sequence[PublicTrade]) -> None:
        public_trades_store(trades)

    def book_log(self, updates: Sequence[BookUpdate]) -> None:
        order_book_log_store(updates)

    def _store_recovered(
        self, bars: Sequence[Kline], features: BookFeatures | None, *, now_ms: int, lease: HeldLease | None
    ) -> BulkOutcome:
        """The newest decision bar, if it closed a moment ago, gets the book of this moment with it."""
        fresh = [
            bar
            for bar in bars
            if features is not None
            and bar.interval_min == self._options.decision_interval_min
            and now_ms - bar.end_ms <= self._options.fresh_features_ms
        ]
        outcome = klines_store([bar for bar in bars if bar not in fresh], source=KlineSource.REST, now_ms=now_ms)
        for bar in fresh:
            result = bar_store(
                bar=bar,
                features=self._as_decided(features, bar),
                now_ms=now_ms,
                source=KlineSource.REST,
                lease=lease,
            )
            outcome += BulkOutcome(
                seen=1,
                new=int(result is BarOutcome.NEW),
                same=int(result is BarOutcome.DUPLICATE),
                corrected=int(result is BarOutcome.CORRECTED),
            )
        return outcome
