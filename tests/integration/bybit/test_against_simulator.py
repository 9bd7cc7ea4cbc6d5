"""The whole client against the simulated exchange: a trade from end to end, and what faults on the wire become."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest

from avigrid.exchange.bybit.account_feed import BybitAccountFeed
from avigrid.exchange.bybit.connect import BybitClient, connect
from avigrid.exchange.bybit.environments import Endpoints
from avigrid.exchange.bybit.feed import BybitMarketFeed, topics_of
from avigrid.exchange.bybit.orderbook import OrderBook
from avigrid.exchange.bybit.policy import StreamPolicy, StreamTools
from avigrid.exchange.ports import StreamState
from avigrid.exchange.simulator.exchange import ExchangeConfig
from avigrid.kernel.errors import (
    DuplicateOrder,
    NotModified,
    OperatorNeeded,
    OrderNotFound,
    OutcomeUnknown,
    Rejected,
    Retryable,
)
from avigrid.kernel.market import BookUpdate, Kline, PublicTrade, Ticker
from avigrid.kernel.money import Rounding
from avigrid.kernel.orders import Execution, OrderIntent, OrderType, Side, TimeInForce, VenueOrder
from avigrid.kernel.portfolio import VenuePosition
from tests.support.simulator_server import Running, running_simulator

SYMBOL = "BTCUSDT"
BOOK = f"orderbook.50.{SYMBOL}"
QUICK = StreamPolicy(backoff_first_s=0.01, backoff_max_s=0.05, check_every_s=0.02, backoff_after_refusal_s=0.05)


@pytest.fixture(scope="module")
def venue() -> Iterator[Running]:
    with running_simulator(config=ExchangeConfig(orders_per_s=1_000, hedge=True)) as running:
        yield running


@pytest.fixture
def client(venue: Running) -> Iterator[BybitClient]:
    found = connect(Endpoints.simulated(venue.url), api_key="key", api_secret="secret", account="t", timeout_s=2.0)
    found.clock.measure()
    yield found
    venue.sim("DELETE", "/sim/faults")
    found.clock.measure()
    for row in found.gateway.open_orders():
        found.gateway.cancel(symbol=row.symbol, order_id=row.order_id)
    for held in found.gateway.positions():
        found.gateway.place(intent(f"av-tidy-{held.created_ms}", close=True, quantity=str(held.size)))


def fault(venue: Running, name: str, *, count: int = 1, match: dict[str, Any] | None = None, **params: Any) -> None:
    venue.sim("POST", "/sim/faults", {"name": name, "params": params, "count": count, "match": match or {}})


def far_below(client: BybitClient) -> Decimal:
    """A price that rests: two percent under the market."""
    instrument = next(found for found in client.market.instruments() if found.symbol == SYMBOL)
    ticker = next(found for found in client.market.tickers() if found.symbol == SYMBOL)
    return instrument.price(Decimal(str(ticker.bid)) * Decimal("0.98"), Rounding.DOWN)


def intent(link_id: str, *, price: Decimal | None = None, close: bool = False, quantity: str = "0.01") -> OrderIntent:
    return OrderIntent(
        order_link_id=link_id,
        symbol=SYMBOL,
        side=Side.SELL if close else Side.BUY,
        order_type=OrderType.MARKET if price is None else OrderType.LIMIT,
        quantity=Decimal(quantity),
        price=price,
        time_in_force=TimeInForce.IOC if price is None else TimeInForce.GTC,
        reduce_only=close,
        position_idx=1,
    )


async def until(events: AsyncIterator[Any], is_it: Callable[[Any], bool], seen: list[Any] | None = None) -> Any:
    async with asyncio.timeout(10):
        async for event in events:
            if seen is not None:
                seen.append(event)
            if is_it(event):
                return event
    raise AssertionError("the stream ended")


def is_state(kind: str, topic: str) -> Callable[[Any], bool]:
    return lambda event: isinstance(event, StreamState) and (event.kind, event.topic) == (kind, topic)


class TestTrading:
    def test_a_trade_from_end_to_end(self, client: BybitClient) -> None:
        gateway = client.gateway
        started_ms, balance_usd = client.clock.now_ms(), gateway.wallet().wallet_balance_usd
        assert gateway.place(intent("av-in")).order_link_id == "av-in"
        (held,) = gateway.positions()
        assert (held.position_idx, held.signed_size, held.stop_loss) == (1, Decimal("0.01"), None)
        stop = far_below(client)
        gateway.set_stop(symbol=SYMBOL, position_idx=1, stop_loss=stop)
        assert gateway.positions()[0].stop_loss == stop
        with pytest.raises(NotModified):
            gateway.set_stop(symbol=SYMBOL, position_idx=1, stop_loss=stop)
        gateway.place(intent("av-out", close=True))
        assert gateway.positions() == []
        assert [position.size for position in gateway.position(SYMBOL)] == [0, 0]
        start_ms, end_ms = started_ms - 60_000, client.clock.now_ms() + 60_000
        found = gateway.executions(start_ms=start_ms, end_ms=end_ms)
        fills = [fill for fill in found if fill.order_link_id in ("av-in", "av-out")]
        assert [(fill.order_link_id, fill.side) for fill in fills] == [("av-in", Side.BUY), ("av-out", Side.SELL)]
        assert gateway.executions_of(symbol=SYMBOL, order_link_id="av-out") == [fills[1]]
        rows = gateway.ledger(start_ms=start_ms, end_ms=end_ms)
        trades = [row for row in rows if row.order_link_id in ("av-in", "av-out")]
        assert [row.trade_id for row in trades] == [fill.exec_id for fill in fills]
        assert sum(row.fee_usd for row in trades) == sum(fill.fee_usd for fill in fills)
        assert gateway.wallet().wallet_balance_usd == balance_usd + sum(row.change_usd for row in trades)

    def test_resting_orders_are_found_listed_and_cancelled(self, client: BybitClient) -> None:
        gateway, price = client.gateway, far_below(client)
        for number in range(59):
            gateway.place(intent(f"av-{number}", price=price, quantity="0.01"))
        with pytest.raises(Rejected):
            gateway.place(intent("av-dust", price=price, quantity="0.0000001"))
        assert len(gateway.open_orders()) == 59  # more than one page
        found = gateway.order(symbol=SYMBOL, order_link_id="av-7")
        assert found is not None
        assert (found.is_open, found.price, found.filled_qty) == (True, price, 0)
        gateway.cancel(symbol=SYMBOL, order_link_id="av-7")
        with pytest.raises(OrderNotFound):
            gateway.cancel(symbol=SYMBOL, order_link_id="av-7")
        cancelled = gateway.order(symbol=SYMBOL, order_link_id="av-7")
        assert cancelled is not None
        assert cancelled.status == "Cancelled"
        some = [(SYMBOL, f"av-{number}") for number in (1, 2, 7, 3)]
        assert [type(error) for error in gateway.cancel_batch(some)] == [type(None)] * 2 + [OrderNotFound, type(None)]
        assert len(gateway.open_orders()) == 55
        assert gateway.order(symbol=SYMBOL, order_link_id="av-nobody") is None

    def test_what_is_already_so_and_what_cannot_be(self, client: BybitClient) -> None:
        gateway = client.gateway
        with pytest.raises(NotModified):
            gateway.set_hedge_mode(enabled=True)
        gateway.set_hedge_mode(enabled=False)
        assert [position.position_idx for position in gateway.position(SYMBOL)] == [0]
        gateway.set_hedge_mode(enabled=True)
        gateway.set_leverage(symbol=SYMBOL, leverage=Decimal(7))
        with pytest.raises(NotModified):
            gateway.set_leverage(symbol=SYMBOL, leverage=Decimal(7))
        with pytest.raises(Rejected) as refused:
            gateway.place(intent("av-close", close=True))
        assert refused.value.code == "nothing_to_reduce"
        with pytest.raises(Rejected) as refused:
            gateway.place(intent("av-huge", quantity="100"))
        assert refused.value.code == "insufficient_margin"

    def test_a_wrong_secret_needs_a_person(self, venue: Running) -> None:
        wrong = connect(Endpoints.simulated(venue.url), api_key="key", api_secret="guess", account="t")
        wrong.clock.measure()
        with pytest.raises(OperatorNeeded) as raised:
            wrong.gateway.wallet()
        assert raised.value.code == "key_invalid"


class TestFaultsOfCalls:
    def test_a_lost_acknowledgement_is_unknown_and_the_same_id_proves_it(
        self, venue: Running, client: BybitClient
    ) -> None:
        price = far_below(client)
        fault(venue, "lost_ack", match={"path": "/v5/order/create"})
        with pytest.raises(OutcomeUnknown):
            client.gateway.place(intent("av-lost", price=price))
        with pytest.raises(DuplicateOrder):
            client.gateway.place(intent("av-lost", price=price))
        assert [order.order_link_id for order in client.gateway.open_orders()] == ["av-lost"]

    def test_a_server_error_is_unknown_for_orders_and_retryable_for_reads(
        self, venue: Running, client: BybitClient
    ) -> None:
        fault(venue, "http_error", count=2, status=502)
        with pytest.raises(OutcomeUnknown):
            client.gateway.place(intent("av-5xx"))
        with pytest.raises(Retryable):
            client.gateway.wallet()

    def test_a_rate_refusal_says_when_to_come_back(self, venue: Running, client: BybitClient) -> None:
        fault(venue, "rate_limit", reset_ms=300, match={"path": "/v5/account/wallet-balance"})
        with pytest.raises(Retryable) as raised:
            client.gateway.wallet()
        assert raised.value.code == "rate_limited"
        assert 0.1 <= float(str(raised.value.details["retry_after_s"])) <= 0.35
        assert client.gateway.wallet().equity_usd > 0
        assert client.limiter.waited_s["wallet"] > 0.05

    def test_a_clock_that_went_wrong_is_measured_again(self, venue: Running, client: BybitClient) -> None:
        venue.sim("POST", "/sim/faults", {"name": "clock_skew", "params": {"skew_ms": 20_000}})
        with pytest.raises(Retryable) as raised:
            client.gateway.wallet()
        assert raised.value.code == "clock_skew"
        assert client.gateway.wallet().equity_usd > 0


class TestHistory:
    def test_klines_are_gapless_and_only_the_last_is_open(self, client: BybitClient) -> None:
        now_ms = client.clock.now_ms()
        bars = client.market.klines(SYMBOL, 1, start_ms=now_ms - 1_500 * 60_000, end_ms=now_ms)
        assert [bar.start_ms for bar in bars] == list(range(bars[0].start_ms, bars[-1].start_ms + 1, 60_000))
        assert len(bars) >= 1_000
        assert [bar.confirmed for bar in bars] == [True] * (len(bars) - 1) + [False]

    def test_tiers_rates_and_trades(self, client: BybitClient) -> None:
        tiers = client.market.risk_tiers(SYMBOL)
        assert all(tier.symbol == SYMBOL for tier in tiers)
        assert [tier.limit_usd for tier in tiers] == sorted(tier.limit_usd for tier in tiers)
        assert client.gateway.fee_rates(SYMBOL).taker == Decimal("0.00055")
        assert client.gateway.key_info().can_trade
        trades = client.market.recent_trades(SYMBOL, 50)
        assert [trade.time_ms for trade in trades] == sorted(trade.time_ms for trade in trades)


class TestStreams:
    def market(self, venue: Running, client: BybitClient, topics: list[str] | None = None) -> BybitMarketFeed:
        return BybitMarketFeed(
            Endpoints.simulated(venue.url).public_ws_url,
            topics or topics_of([SYMBOL]),
            now_ms=client.clock.now_ms,
            policy=QUICK,
            tools=StreamTools(rng=random.Random(3)),
        )

    def account(self, venue: Running, client: BybitClient) -> BybitAccountFeed:
        return BybitAccountFeed(
            Endpoints.simulated(venue.url).private_ws_url,
            api_key="key",
            api_secret="secret",
            now_ms=client.clock.now_ms,
            policy=QUICK,
        )

    async def test_the_shallow_book_agrees_with_the_deep_one(self, venue: Running, client: BybitClient) -> None:
        feed = self.market(venue, client, [f"orderbook.50.{SYMBOL}", f"orderbook.1.{SYMBOL}"])
        book = OrderBook(SYMBOL)
        compared = 0
        top: BookUpdate | None = None

        def is_enough(event: Any) -> bool:
            nonlocal compared, top
            if isinstance(event, BookUpdate):
                if event.depth == 1:
                    top = event
                else:
                    assert book.apply(event) is None
                if top is not None:
                    compared += top.seq == book.seq
                    assert book.check_top(top) is None
            return compared >= 5

        await until(feed.events(), is_enough, [])
        await feed.aclose()

    async def test_every_kind_of_event_and_a_book_that_holds(self, venue: Running, client: BybitClient) -> None:
        feed = self.market(venue, client)
        seen: list[Any] = []
        events = feed.events()
        kinds: set[type] = set()

        def is_enough(event: Any) -> bool:
            kinds.add(type(event))
            return kinds == {StreamState, BookUpdate, Kline, PublicTrade, Ticker} and len(seen) > 25

        await until(events, is_enough, seen)
        await feed.aclose()
        book = OrderBook(SYMBOL)
        for event in seen:
            if isinstance(event, BookUpdate):
                assert book.apply(event) is None
        features = book.features(client.clock.now_ms())
        assert features is not None
        assert book.best_bid < features.mid < book.best_ask
        assert feed.refused == {}

    @pytest.mark.parametrize(("name", "reason"), [("book_gap", "sequence"), ("service_restart", "restart")])
    async def test_a_broken_sequence_is_told_and_healed(
        self, venue: Running, client: BybitClient, name: str, reason: str
    ) -> None:
        feed = self.market(venue, client, [BOOK])
        events, book = feed.events(), OrderBook(SYMBOL)
        book.apply(await until(events, lambda event: isinstance(event, BookUpdate)))
        await asyncio.to_thread(fault, venue, name, match={"topic": BOOK})
        gap = await until(events, lambda event: isinstance(event, BookUpdate) and book.apply(event) is not None
                          or is_state("gap", BOOK)(event))  # fmt: skip
        assert isinstance(gap, StreamState)
        assert gap.reason == reason
        snapshot = await until(events, lambda event: isinstance(event, BookUpdate))
        assert snapshot.is_snapshot
        assert book.apply(snapshot) is None
        for _ in range(3):
            assert book.apply(await until(events, lambda event: isinstance(event, BookUpdate))) is None
        assert book.is_ready
        await feed.aclose()

    async def test_a_subscription_that_silently_stopped_is_revived(self, venue: Running, client: BybitClient) -> None:
        policy = StreamPolicy(check_every_s=0.02, silence_s={"orderbook": 1.0})
        feed = BybitMarketFeed(
            Endpoints.simulated(venue.url).public_ws_url, [BOOK], now_ms=client.clock.now_ms, policy=policy
        )
        events = feed.events()
        await until(events, lambda event: isinstance(event, BookUpdate))
        await asyncio.to_thread(fault, venue, "subscription_dropped", match={"topic": BOOK})
        await until(events, is_state("stale", BOOK))
        await until(events, is_state("up", BOOK))
        snapshot = await until(events, lambda event: isinstance(event, BookUpdate))
        assert snapshot.is_snapshot
        await feed.aclose()

    async def test_a_cut_line_comes_back(self, venue: Running, client: BybitClient) -> None:
        feed, account = self.market(venue, client, [BOOK]), self.account(venue, client)
        events, private = feed.events(), account.events()
        await until(events, is_state("up", BOOK))
        await until(private, is_state("up", "private"))
        await asyncio.to_thread(venue.sim, "POST", "/sim/faults", {"name": "disconnect"})
        await until(events, is_state("down", BOOK))
        await until(events, is_state("up", BOOK))
        await until(private, is_state("down", "private"))
        await until(private, is_state("up", "private"))
        await feed.aclose()
        await account.aclose()

    async def test_a_half_open_socket_is_noticed_by_its_missing_pong(self, venue: Running, client: BybitClient) -> None:
        policy = StreamPolicy(ping_every_s=0.1, pong_within_s=0.3, check_every_s=0.02, backoff_first_s=0.01)
        account = BybitAccountFeed(
            Endpoints.simulated(venue.url).private_ws_url,
            api_key="key",
            api_secret="secret",
            now_ms=client.clock.now_ms,
            policy=policy,
        )
        events = account.events()
        await until(events, is_state("up", "private"))
        await asyncio.to_thread(venue.sim, "POST", "/sim/faults", {"name": "half_open"})
        assert (await until(events, is_state("down", "private"))).reason == "no pong"
        await until(events, is_state("up", "private"))
        await account.aclose()

    async def test_the_account_hears_of_its_trade(self, venue: Running, client: BybitClient) -> None:
        account = self.account(venue, client)
        events = account.events()
        await until(events, is_state("up", "private"))
        await asyncio.to_thread(client.gateway.place, intent("av-heard"))
        seen: list[Any] = []
        await until(events, lambda event: isinstance(event, VenuePosition) and event.size > 0, seen)
        (fill,) = [event for event in seen if isinstance(event, Execution)]
        order = next(event for event in seen if isinstance(event, VenueOrder))
        assert (fill.order_link_id, order.order_link_id, order.status) == ("av-heard", "av-heard", "Filled")
        assert await asyncio.to_thread(client.gateway.executions_of, symbol=SYMBOL, order_link_id="av-heard") == [fill]
        await account.aclose()


def test_signatures_hold_against_an_exchange_thirty_times_as_fast() -> None:
    with running_simulator(speed=30.0) as venue:
        client = connect(Endpoints.simulated(venue.url), api_key="key", api_secret="secret", account="t")
        client.clock.set_rate(venue.sim("GET", "/sim/clock")["speed"])
        client.clock.measure()
        for _ in range(10):
            assert client.gateway.wallet().equity_usd == 10_000
        now_ms = venue.sim("GET", "/sim/clock")["now_ms"]
        assert abs(client.clock.now_ms() - now_ms) < 3_000  # a tenth of a second of the wall
