"""The whole simulated exchange without a network: venue, market source, clock, faults and connections in one object.

The server puts it on a port; the scenario runner and tests call it in process. Time comes in through `SimulatedClock`
(the exchange's) and `wire_s` (the connections'); chance only through seeds.
"""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import cast
from urllib.parse import urlsplit

from avigrid.exchange.simulator.auth import Credentials
from avigrid.exchange.simulator.clock import SimulatedClock
from avigrid.exchange.simulator.faults import IMMEDIATE, Fault, Scalar
from avigrid.exchange.simulator.feed import Source
from avigrid.exchange.simulator.house import House
from avigrid.exchange.simulator.messages import Reply, Request, Row
from avigrid.exchange.simulator.mischief import Mischief
from avigrid.exchange.simulator.private_stream import PrivateStream
from avigrid.exchange.simulator.public_stream import PublicStream
from avigrid.exchange.simulator.rate_limits import RateLimiter
from avigrid.exchange.simulator.rest import RestDesk
from avigrid.exchange.simulator.sessions import SILENCE_LIMIT_S, Session
from avigrid.exchange.simulator.sources.shift import ShiftedSource
from avigrid.exchange.simulator.specs import Fees
from avigrid.exchange.simulator.trade_stream import TradeStream
from avigrid.exchange.simulator.venue import Venue, VenueConfig

SOCKET_PATHS = {"/v5/public/linear": "public", "/v5/private": "private", "/v5/trade": "trade"}


@dataclass(frozen=True, slots=True)
class ExchangeConfig:
    """What the command line decides."""

    api_key: str = "key"
    api_secret: str = "secret"  # noqa: S105 - the simulated exchange's default, not a secret
    balance_usdt: Decimal = Decimal(10_000)
    hedge: bool = False
    leverage: Decimal = Decimal(10)
    fees: Fees = Fees()
    usdt_index: Decimal = Decimal(1)
    """Dollars of one USDT."""
    orders_per_s: int = 10
    read_only: bool = False
    seed: int = 1
    quantum_ms: int = 1_000
    """The market moves by at most this much between looks at the streams, however far the clock is asked to go; one
    that speaks seldom may take larger steps."""


class SimulatedExchange:
    def __init__(
        self,
        source: Source,
        config: ExchangeConfig,
        *,
        clock: SimulatedClock,
        wire_s: Callable[[], float],
        wall_ms: Callable[[], int],
    ) -> None:
        self.source = ShiftedSource(source)
        self.config = config
        specs = list(source.instruments())
        self.symbols = tuple(spec.symbol for spec in specs)
        venue = Venue(
            specs,
            config=VenueConfig(
                balance_usdt=config.balance_usdt,
                hedge=config.hedge,
                leverage=config.leverage,
                fees=config.fees,
                usdt_index=config.usdt_index,
                api_key=config.api_key,
            ),
            start_ms=source.start_ms,
            seed=config.seed,
        )
        for symbol in self.symbols:
            interval_min, bars = source.history(symbol)
            if bars:
                venue.load_history(symbol, interval_min, bars)
            venue.load_fundings(symbol, source.fundings(symbol))
        for event in self.source.events_until(source.start_ms):
            venue.apply(event)
        self.house = House(
            venue=venue,
            clock=clock,
            credentials=Credentials(config.api_key, config.api_secret, read_only=config.read_only),
            wire_s=wire_s,
            wall_ms=wall_ms,
            limiter=RateLimiter(config.orders_per_s),
        )
        self.desk = RestDesk(self.house, seed=config.seed)
        self.public = PublicStream(self.house, symbols=self.symbols, seed=config.seed)
        self.private = PrivateStream(self.house)
        self.trade = TradeStream(self.house, self.desk)
        self.sessions: list[Session] = []
        self.mischief = Mischief(self)
        self._connections = 0
        self._was_down = False

    @property
    def venue(self) -> Venue:
        return self.house.venue

    # -- time -------------------------------------------------------------------------------------------------

    def pump(self, limit_ms: int | None = None) -> int:
        """Moves the market up to the clock (at most `limit_ms` further) and lets the streams speak; returns what is
        left.
        """
        target_ms = self.house.clock.now_ms()
        goal_ms = target_ms if limit_ms is None else min(target_ms, self.venue.now_ms + limit_ms)
        if self.venue.now_ms >= goal_ms:
            self.publish()
        while self.venue.now_ms < goal_ms:
            self._move(min(goal_ms, self.venue.now_ms + self.config.quantum_ms))
        return max(0, target_ms - self.venue.now_ms)

    def _move(self, now_ms: int) -> None:
        venue = self.venue
        for event in self.source.events_until(now_ms):
            venue.apply(event)
        venue.advance(now_ms)
        self._after_restart()
        self._guard_disconnects()
        self.mischief.on_time(now_ms)
        self.publish()

    def publish(self) -> None:
        """Drains the venue into the streams; after every request and every quantum."""
        self.private.publish(self.venue.drain_private())
        self.private.release_if_over()
        self.public.round()

    def _after_restart(self) -> None:
        if self._was_down and not self.house.is_down:
            self.public.restart_books()
        self._was_down = self.house.is_down

    def _guard_disconnects(self) -> None:
        """Disconnect protection: all `dcp.*` listeners gone for longer than the window set."""
        lost_ms = self.private.dcp_lost_ms
        if not lost_ms:
            return
        infos = cast("list[Row]", self.venue.query_dcp({}).get("dcpInfos", []))
        windows = [int(row["timeWindow"]) for row in infos if row.get("dcpStatus") == "ON"]
        if windows and self.venue.now_ms - lost_ms >= min(windows) * 1_000:
            self.private.dcp_lost_ms = None
            self.house.count("dcp_fired")
            self.venue.fire_dcp()

    # -- requests and connections -----------------------------------------------------------------------------

    def request(self, request: Request) -> Reply:
        """One REST call; private frames it causes are queued behind it."""
        reply = self.desk.handle(request)
        self.private.publish(self.venue.drain_private())
        return reply

    def connect(self, target: str, *, remote: str = "local") -> Session | Reply:
        """A socket at one of Bybit's paths; a Reply is the HTTP refusal of its handshake."""
        path = urlsplit(target).path
        kind = SOCKET_PATHS.get(path.rstrip("/"))
        house = self.house
        if kind is None:
            return Reply(404, b"404 page not found", content_type="text/plain")
        facts = {"path": path, "kind": kind}
        if house.is_down or house.now_ms < house.refuse_sockets_until_ms:
            house.count("sockets_refused")
            return Reply(503, b"service unavailable", content_type="text/plain")
        self._connections += 1
        session = Session(
            kind=kind,
            path=path,
            conn_id=f"sim{self.config.seed:08x}-{self._connections:05d}",
            remote=remote,
            wire_s=house.wire_s,
            number=self._connections,
        )
        fault = house.faults.peek("half_open", house.now_ms, facts)
        if fault is not None:
            house.faults.strike(fault)
            session.is_deaf = True
        self.sessions.append(session)
        house.count(f"sockets_opened_{kind}")
        return session

    def receive(self, session: Session, text: str) -> None:
        session.heard_s = self.house.wire_s()
        self.house.count(f"socket_messages_{session.kind}")
        if session.is_deaf:
            return
        if session.kind == "public":
            self.public.receive(session, text)
        elif session.kind == "private":
            self.private.receive(session, text)
        else:
            self.trade.receive(session, text)
            self.private.publish(self.venue.drain_private())

    def leave(self, session: Session) -> None:
        if session not in self.sessions:
            return
        self.sessions.remove(session)
        if session.kind == "public":
            self.public.leave(session)
        elif session.kind == "private":
            self.private.leave(session)
        else:
            self.trade.leave(session)

    def cut_the_silent(self) -> None:
        """Ten minutes without a word from the client end a connection."""
        now_s = self.house.wire_s()
        for session in self.sessions:
            if not session.is_deaf and now_s - session.heard_s > SILENCE_LIMIT_S:
                session.cut(1000)

    # -- faults -----------------------------------------------------------------------------------------------

    def add_fault(
        self,
        name: str,
        *,
        params: dict[str, Scalar] | None = None,
        count: int | None = None,
        for_s: float | None = None,
        match: dict[str, Scalar] | None = None,
        skip: int = 0,
    ) -> Fault:
        """Switches a fault on; those that strike sockets, market or exchange strike at once."""
        now_ms = self.venue.now_ms
        fault = self.house.faults.add(
            name, now_ms=now_ms, params=params, count=count, for_s=for_s, match=match, skip=skip
        )
        if name in IMMEDIATE:
            try:
                self.mischief.strike(fault)
            except Exception:
                self.house.faults.remove(fault_id=fault.fault_id)
                raise
            self.publish()
        return fault
