"""The market-data process: bars in, decisions out.

Wires Bybit's public streams to the ingest service of marketdata, decides on every confirmed 5m bar, publishes prices,
and lets signals expire. The exchange's clock may run faster than the wall (a simulated one): lags are measured on the
wall, so that "within 5 s of the close" means the same at any speed.
"""

import asyncio
import itertools
import signal
import time
from dataclasses import dataclass, field, replace

import structlog
from django.conf import settings
from django.utils import timezone
from prometheus_client import Counter, Histogram
from redis import Redis

from accounts.selectors.trading_accounts import primary_account
from avigrid.common import heartbeats, leases, metrics, push, venue_metrics
from avigrid.exchange.bybit.connect import BybitClient, connect, settle_clock, try_measure
from avigrid.exchange.bybit.environments import endpoints_for
from avigrid.exchange.bybit.feed import BybitMarketFeed, topics_of
from avigrid.exchange.bybit.orderbook import OrderBook
from avigrid.kernel.clock import Clock
from avigrid.kernel.errors import AviGridError
from avigrid.kernel.market import BookFeatures, Ticker
from marketdata.runtime.confirmed_bar import ConfirmedBar
from marketdata.runtime.database_storage import DatabaseStorage
from marketdata.runtime.database_threads import DatabaseThreads
from marketdata.runtime.options import PipelineOptions
from marketdata.runtime.service import MarketDataService, Wishes
from marketdata.runtime.shards import ShardKeeper
from marketdata.selectors import instruments
from marketdata.selectors.times import to_datetime
from marketdata.services.book_tops import book_top, book_tops_publish
from marketdata.services.instruments import instruments_refresh
from marketdata.services.prices import prices_publish
from trading.runtime.auto_clicks import AutoClicks
from trading.runtime.decision_terms import SharedTerms
from trading.services.decisions import Decided, bar_decide, signals_expire

PUBLISH_EVERY_S = 0.5
SCREEN_EVERY_S = 1.0
HEARTBEAT_EVERY_S = 2.0
CLOCK_EVERY_S = 5.0
INSTRUMENTS_EVERY_S = 3600.0

DECISIONS = Counter("avigrid_decisions_total", "Bars decided on", ["status"])
SIGNALS = Counter("avigrid_signals_total", "Signals made", ["symbol", "status"])
DECIDE_SECONDS = Histogram(
    "avigrid_decide_seconds", "Bar stored to decision stored", buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5)
)
CLOSE_LAG_SECONDS = Histogram(
    "avigrid_bar_close_to_decision_seconds", "Bar's close to decision stored, on the wall",
    buckets=(0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30),
)  # fmt: skip
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Decider:
    """Called in a database thread with every bar that is stored; keeps nothing from one close to the next."""

    clock: Clock
    rate_ratio: float
    terms: SharedTerms = field(default_factory=SharedTerms)

    def __call__(self, event: ConfirmedBar) -> Decided | None:
        terms = self.terms.at(event.bar.end_ms)
        if terms is None:
            return None
        now_ms = self.clock.now_ms()
        now, fees = to_datetime(now_ms), terms.fees_of(event.symbol)
        lag_ms = self._on_wall(now_ms - event.bar.end_ms)
        with DECIDE_SECONDS.time():
            decided = bar_decide(
                version=terms.version,
                config=terms.config,
                bar=event.bar,
                features=self._with_wall_age(event.features, event.bar.end_ms),
                decided_ms=event.bar.end_ms + lag_ms,
                next_funding_ms=self._next_funding_ms(event),
                fees=fees.rates,
                r_usd=terms.r_usd,
                now=now,
                rate_ratio=self.rate_ratio,
                note="; ".join(filter(None, (_note(event), fees.note(timezone.now())))),
            )
        if decided.is_new:
            DECISIONS.labels(status=decided.decision.status).inc()
            CLOSE_LAG_SECONDS.observe(max(lag_ms, 0) / 1000)
            if decided.signal is not None:
                SIGNALS.labels(symbol=event.symbol, status=decided.signal.status).inc()
                log.info("signal", symbol=event.symbol, signal_id=decided.signal.pk, status=decided.signal.status)
        return decided

    def _on_wall(self, exchange_ms: int) -> int:
        return int(exchange_ms / max(self.rate_ratio, 1.0))

    def _with_wall_age(self, features: BookFeatures | None, close_ms: int) -> BookFeatures | None:
        if features is None:
            return None
        return replace(features, time_ms=close_ms + self._on_wall(features.time_ms - close_ms))

    def _next_funding_ms(self, event: ConfirmedBar) -> int | None:
        if event.ticker is not None and event.ticker.next_funding_ms > event.bar.end_ms:
            return event.ticker.next_funding_ms
        interval_ms = instruments.instrument(event.symbol).funding_interval_min * 60_000
        return None if not interval_ms else (event.bar.end_ms // interval_ms + 1) * interval_ms


def _note(event: ConfirmedBar) -> str:
    if not event.interruption:
        return ""
    late = "; decided late" if event.is_recovered else ""
    return f"after an interruption ({event.interruption}), {event.bars_recovered} bars fetched{late}"


@dataclass
class MarketLoop:
    """`await run()` until SIGTERM; ends with everything stored, decided on and given back."""

    stop: asyncio.Event = field(default_factory=asyncio.Event)
    tickers: dict[str, Ticker] = field(default_factory=dict)
    auto_clicks: AutoClicks = field(default_factory=AutoClicks)
    _client: BybitClient | None = None

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop.set)
        environment = settings.AVIGRID["MARKET_ENVIRONMENT"]
        endpoints = endpoints_for(environment, simulated_url=settings.AVIGRID["SIMULATOR_URL"])
        redis = Redis.from_url(settings.REDIS_URL, socket_timeout=1, socket_connect_timeout=1)
        client = self._client = connect(endpoints, redis_client=redis, on_call=venue_metrics.observe)
        threads = DatabaseThreads()
        await asyncio.to_thread(settle_clock, client.clock, simulated=environment == "simulated")
        await threads.run(self._refresh_instruments)
        metrics.serve()
        rate = max(client.clock.rate_ratio, 1.0)
        options = _options(rate)
        feed = BybitMarketFeed(endpoints.public_ws_url, [], now_ms=client.clock.now_ms)
        service = MarketDataService(
            feed=feed,
            topics_of=lambda symbol: topics_of([symbol], depths=settings.AVIGRID["BOOK_DEPTHS"]),
            book_factory=OrderBook,
            storage=DatabaseStorage(client.market, options),
            keeper=ShardKeeper(),
            wishes=_wishes,
            clock=client.clock,
            on_bar=self._decider(rate),
            on_ticker=self._keep,
            options=options,
            threads=threads,
        )
        log.info("market_data_started", environment=environment, rate_ratio=round(rate, 2))
        sides = [asyncio.create_task(self._side_jobs(service)), asyncio.create_task(_show_books(service))]
        try:
            await service.run(self.stop)
        finally:
            for side in sides:
                side.cancel()
            await asyncio.gather(*sides, return_exceptions=True)
            log.info("market_data_stopped")

    def _decider(self, rate: float) -> Decider:
        assert self._client is not None
        return Decider(self._client.clock, rate)

    def _keep(self, ticker: Ticker) -> None:
        self.tickers[ticker.symbol] = ticker

    async def _side_jobs(self, service: MarketDataService) -> None:
        """Heartbeat, prices, expiry, clock: each on its own pace, none may stop the others."""
        assert self._client is not None
        process = f"market_data:{leases.holder_name()}"
        threads = DatabaseThreads(1)
        lives = itertools.count()
        jobs = {
            "prices": (PUBLISH_EVERY_S, self._publish),
            "screen": (SCREEN_EVERY_S, lambda: push.send_now("price", {})),
            "expiry": (SCREEN_EVERY_S, self._expire),
            "auto_clicks": (SCREEN_EVERY_S, self._click),
            "heartbeat": (
                HEARTBEAT_EVERY_S,
                lambda: heartbeats.beat(process, {"symbols": sorted(service.symbols)}, started=next(lives) == 0),
            ),
            "clock": (CLOCK_EVERY_S, lambda: try_measure(self._client.clock) if self._client else None),
            "instruments": (INSTRUMENTS_EVERY_S, self._refresh_instruments),
        }
        due = dict.fromkeys(jobs, 0.0)
        try:
            while True:
                await asyncio.sleep(0.1)
                now_s = time.monotonic()
                for name, (every_s, job) in jobs.items():
                    if now_s < due[name]:
                        continue
                    due[name] = now_s + every_s
                    try:
                        await threads.run(job)  # renews its connection after the database was away
                    except Exception as error:
                        log.warning("side_job_failed", job=name, error=repr(error))
        finally:
            await threads.close()

    def _publish(self) -> None:
        tickers, self.tickers = self.tickers, {}
        if tickers:
            prices_publish(tickers.values())

    def _click(self) -> None:
        account = primary_account()
        if account is not None:
            self.auto_clicks.run(account.pk)

    def _expire(self) -> None:
        assert self._client is not None
        signals_expire(now=to_datetime(self._client.clock.now_ms()))

    def _refresh_instruments(self) -> None:
        assert self._client is not None
        try:
            outcome = instruments_refresh(
                reader=self._client.market,
                wanted=settings.AVIGRID["SYMBOLS"],
                now_ms=self._client.clock.now_ms(),
            )
        except AviGridError as error:
            log.warning("instruments_not_refreshed", code=error.code, error=error.message)
            return
        if outcome.missing:
            log.warning("symbols_not_listed", symbols=list(outcome.missing))


async def _show_books(service: MarketDataService) -> None:
    """The books live on this event loop, so they are read here; only the writing goes to a thread."""
    while True:
        await asyncio.sleep(SCREEN_EVERY_S)
        states = {symbol: service.state(symbol) for symbol in service.symbols}
        tops = [
            book_top(state.book, state.forming.get(5), symbol) for symbol, state in states.items() if state is not None
        ]
        try:
            await asyncio.to_thread(book_tops_publish, [top for top in tops if top is not None])
        except Exception as error:
            log.warning("side_job_failed", job="books", error=repr(error))


def _options(rate: float) -> PipelineOptions:
    """Patience in exchange time grows with the exchange's speed."""
    base = PipelineOptions()
    return replace(
        base,
        late_ms=int(base.late_ms * rate),
        clock_skew_ms=int(base.clock_skew_ms * rate),
        fresh_features_ms=int(base.fresh_features_ms * rate),
        rate_ratio=rate,
    )


def _wishes() -> Wishes:
    return Wishes(
        symbols=instruments.whitelist(),
        tape_symbols=instruments.symbols_storing_trades(),
        book_log_symbols=instruments.symbols_logging_order_book(),
    )
