"""The execution process: one thread that owns an account's orders, woken by frames, NOTIFY and the clock.

Losing the lease, the private stream or the key ends the process with a code of its own; a key that was rotated is taken
over while trading goes on. Losing the database only pauses it, and nothing is sent meanwhile: every send commits first.
"""

import signal
import time
from collections.abc import Callable
from enum import IntEnum
from types import FrameType

import structlog
from django.db import connection

from accounts.services.api_keys import CredentialWatch
from avigrid.common import heartbeats, leases, metrics, push
from avigrid.common.leases import LeaseLost
from avigrid.exchange.ports import StreamState
from avigrid.kernel.errors import OperatorNeeded
from risk.core.states import State
from risk.selectors.guards import effective_state
from trading.models import OPEN_PLAN_STATUSES, Plan
from trading.runtime import gauges
from trading.runtime.comparisons import Comparisons
from trading.runtime.context import Context
from trading.runtime.doubts import Doubts
from trading.runtime.faults import fault_point
from trading.runtime.fee_watch import FeeWatch
from trading.runtime.foreign import Foreign
from trading.runtime.guarding import DATABASE_LOST
from trading.runtime.halting import Halting
from trading.runtime.hearing import Effects, Hearing
from trading.runtime.idle import Idle
from trading.runtime.inbox import Failed, Heard, Inbox, Item, Woken, database_url
from trading.runtime.incidents import INCIDENTS
from trading.runtime.key_switch import KeySwitch
from trading.runtime.prices import MarketPrices
from trading.runtime.protection import Protection
from trading.runtime.pulse import LEASE_TTL_S, Pulse
from trading.runtime.reconciliation import Reconciler
from trading.runtime.rung_stops import RungStops
from trading.runtime.sending import Sender
from trading.runtime.succession import bury_dead_holder
from trading.runtime.surroundings import Surroundings
from trading.runtime.timers import Timers
from trading.runtime.triggers import Triggers
from trading.runtime.venue import VenueAccess, account_of, open_venue
from trading.selectors.exchange_time import process_name
from trading.selectors.kill_switch import flatten_pending

log = structlog.get_logger(__name__)


class Exit(IntEnum):
    STOPPED = 0
    FAILED = 1
    LEASE_HELD = 3
    KEY_GONE = 4
    STREAM_LOST = 5


class Execution:
    def __init__(
        self,
        account_id: int,
        *,
        venue: VenueAccess | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        holder: str | None = None,
    ) -> None:
        """`venue` and `holder` are for tests; the process opens its own connection under its own name."""
        self.account_id = account_id
        self._given_venue = venue
        self._monotonic = monotonic
        self._holder = holder
        self.pulse: Pulse | None = None
        self.key_switch: KeySwitch | None = None
        self._stopping = False
        self._exit = Exit.STOPPED
        self.inbox: Inbox
        self._pending: list[Item] = []
        self._drained = Effects()
        self._timers = Timers()
        self._is_database_up = True
        self.is_ready = False
        self.stream = "connecting"

    # -- life ---------------------------------------------------------------------------------------------------

    def run(self) -> Exit:
        """Until told to stop, or until it may or can not go on."""
        try:
            if not self.open():
                return Exit.LEASE_HELD
            metrics.serve()
            push.start_background()
            while not self._stopping:
                self.turn()
        except LeaseLost:
            log.error("lease_lost", account=self.account_id)
            self._exit = Exit.LEASE_HELD
        finally:
            self.close()
        return self._exit

    def open(self) -> bool:
        """Lease, venue, listeners. False where another process trades this account."""
        account = account_of(self.account_id)
        bury_dead_holder(process_name(self.account_id), commands=("stream_account",))
        bury_dead_holder(f"reconciliation:{self.account_id}", commands=("stream_account", "reconcile"))
        lease = leases.acquire(process_name(self.account_id), ttl_s=LEASE_TTL_S, holder=self._holder)
        if lease is None:
            log.error("lease_held", account=self.account_id, holder=leases.holder_of(process_name(self.account_id)))
            return False
        self.pulse = Pulse(process_name(self.account_id), lease, self._timers, self._monotonic, self._report)
        keys = CredentialWatch(account)
        self.venue = self._given_venue or open_venue(self.account_id, credentials=keys.current())
        self.context = Context(
            account_id=self.account_id,
            environment=account.environment,
            hedge_mode=account.hedge_mode,
            gateway=self.venue.gateway,
            market=self.venue.market,
            clock=self.venue.clock,
            prices=MarketPrices(self.venue.market),
            fence=lease,
            pulse=self.pulse.keep,
        )
        if self._given_venue is None:
            self.key_switch = KeySwitch(self.context, keys, self.venue.key_row)
        self._assemble()
        heartbeats.beat(process_name(self.account_id), {}, started=True)
        self.inbox.start()
        return True

    def close(self) -> None:
        if self.pulse is not None:
            if hasattr(self, "inbox"):
                self.inbox.stop()
            try:
                leases.release(self.pulse.lease)
            except DATABASE_LOST:
                log.warning("lease_not_released")

    def stop(self, _number: int = 0, _frame: FrameType | None = None) -> None:
        self._stopping = True

    def listen_to_signals(self) -> None:
        signal.signal(signal.SIGTERM, self.stop)
        signal.signal(signal.SIGINT, self.stop)

    def _assemble(self) -> None:
        self.inbox = Inbox(self.account_id, self.venue.feed, database_url())
        self.hearing = Hearing(self.context)
        self.sender = Sender(self.context, drain=self._drain)
        self.doubts = Doubts(self.context, self.hearing)
        self.protection = Protection(self.context)
        self.rung_stops = RungStops(self.context)
        self.halting = Halting(self.context)
        self.foreign = Foreign(self.context)
        self.surroundings = Surroundings(self.context, self.venue)
        self.fee_watch = FeeWatch(self.context)
        self.triggers = Triggers(self.context)
        self.idle = Idle(self.context, self.surroundings)
        self.reconciler = Reconciler(self.context, self.hearing, drain=self._drain)
        self.comparisons = Comparisons(
            self.context, self._timers, self.reconciler, self.protection, self.foreign, self.idle
        )

    def turn(self, wait_s: float = 0.2) -> None:
        """One round: wait at most `wait_s` for news, then do whatever is due."""
        self._pending += self.inbox.take(wait_s=0.0 if self._pending else wait_s)
        gauges.QUEUE.set(len(self.inbox))
        try:
            self._turn()
            self._is_database_up = True
        except DATABASE_LOST as error:
            self._database_lost(error)

    def _database_lost(self, error: Exception) -> None:
        """Frames stay in `_pending`; afterwards everything is compared once."""
        if self._is_database_up:
            log.error("database_lost", error=type(error).__name__)
        self._is_database_up = False
        self.is_ready = self.sender.entries_ready = False
        self._timers.full.last_s = float("-inf")
        connection.close()
        time.sleep(0.5)

    # -- one turn -----------------------------------------------------------------------------------------------

    def _turn(self) -> None:
        now_s = self._monotonic()
        assert self.pulse is not None
        self.pulse.renew(now_s)
        effects = self._digest()
        self.hearing.watch.look(self.inbox, self.venue.feed, account_id=self.account_id, now=self.context.now())
        if self._timers.surroundings.due(now_s):
            self._look_around(now_s)
        if not self.is_ready:
            self._start_up(now_s)
        if effects.plans or effects.positions or self._timers.step.due(now_s):
            self._step_plans(effects)
        self.sender.entries_ready = self._may_enter
        self.sender.run()
        urgent = set(self.sender.doubted) | effects.owed
        self.sender.doubted.clear()
        if urgent or self._timers.doubts.due(now_s):
            asked = self.doubts.run(urgent)
            if asked.positions:
                self.protection.run()
        if self.is_ready:
            self.comparisons.sweep(now_s)
        self.pulse.beat(now_s)

    @property
    def _may_enter(self) -> bool:
        """A fill that cannot be heard cannot be protected in time: no entry without the private stream."""
        return self.is_ready and self.context.stream_up and self.surroundings.are_good

    def _digest(self) -> Effects:
        """Pending items in order; they leave the list only once they are committed."""
        # A fill heard now is answered now: not with what held when some plan was last stepped.
        self.hearing.entries_allowed = self._may_enter and not self.halting.running
        heard = [item for item in self._pending if isinstance(item, Heard)]
        for item in self._pending:
            if isinstance(item, Failed):
                log.error("source_failed", source=item.source, reason=item.reason)
                self._exit, self._stopping = Exit.STREAM_LOST, True
        effects = self.hearing.take(heard)
        effects.add(self._drained)
        self._drained = Effects()
        others, self._pending = [item for item in self._pending if isinstance(item, Woken)], []
        for one in heard:
            if isinstance(one.event, StreamState):
                self._stream_state(one.event)
        for woken in others:
            if woken.kind == "trading_state" and woken.flatten:
                self.halting.flatten(woken.symbol)
            elif woken.kind == "listening":
                self._resume_flatten()
        if effects.positions:
            self.protection.run()
        if any(woken.kind in ("trading_state", "plan") for woken in others):
            self.halting.run()
        if self.is_ready and any(woken.kind == "finding" for woken in others):
            self.comparisons.foreign_wishes()
        if self.is_ready and any(woken.kind == "reconcile" for woken in others):
            self.comparisons.run("manual")
        return effects

    def _drain(self) -> None:
        """Book what the stream delivered while a question was on its way; wake-ups stay for the next turn."""
        items = self.inbox.take(wait_s=0.0, limit=10_000)
        self._pending += items
        heard = [item for item in self._pending if isinstance(item, Heard) and not isinstance(item.event, StreamState)]
        self._drained.add(self.hearing.take(heard))
        taken = {id(item) for item in heard}
        self._pending = [item for item in self._pending if id(item) not in taken]

    def _stream_state(self, state: StreamState) -> None:
        self.stream = state.kind
        if state.kind in ("up", "down"):
            self.context.stream_up = state.kind == "up"
        self.hearing.watch.state(state)
        if state.kind in ("up", "gap") and self.is_ready:
            self.comparisons.run("reconnect")

    def _start_up(self, now_s: float) -> None:
        """Nothing opens before this went well once; it is tried again with every turn of its timer."""
        if not self._timers.full.due(now_s) and self._timers.full.last_s + 2.0 > now_s:
            return
        self._timers.full.last_s = now_s
        self.surroundings.set_position_mode()
        self.doubts.run(set())
        result = self.comparisons.run("start")
        self._resume_flatten()  # whatever the comparison said: getting flat needs no more than the venue
        if result not in ("good", "findings"):
            return  # "incomplete", or "busy": somebody else's look tells this process nothing
        self.protection.run(audit_all=True)
        self.comparisons.begun(now_s)
        self.is_ready = True
        fault_point("after_startup")

    def _resume_flatten(self) -> None:
        """A flatten that was asked for and cut off, or never heard of, goes on: the state remembers it."""
        for symbol in flatten_pending(self.account_id):
            self.halting.flatten(symbol)

    def _step_plans(self, effects: Effects) -> None:
        plans = set(
            Plan.objects.filter(account_id=self.account_id, status__in=OPEN_PLAN_STATUSES).values_list("pk", flat=True)
        )
        if plans:
            state = effective_state(self.account_id)
            self.hearing.entries_allowed = self._may_enter and state is State.ACTIVE and not self.halting.running
            self.hearing.trends = self.surroundings.trends()
            with self.context.books():
                self.hearing.step(plans | effects.plans)
        self.halting.run()
        self.protection.run()
        self.rung_stops.run()

    def _look_around(self, now_s: float) -> None:
        self.context.look_at_redis()
        self.triggers.look()
        self._look_at_key(now_s)
        if self._timers.clock.due(now_s):
            self.surroundings.measure_clock()
        if self._timers.key.due(now_s):
            self.surroundings.check_key()
        if self.is_ready:
            self.fee_watch.look()

    def _look_at_key(self, now_s: float) -> None:
        if self.key_switch is None:
            return
        try:
            venue = self.key_switch.look(now_s)
        except OperatorNeeded as error:
            log.error("key_gone", code=error.code)
            self._exit, self._stopping = Exit.KEY_GONE, True
            return
        if venue is None:
            return
        self.venue = self.surroundings.venue = venue
        self.context.adopt(venue.gateway, venue.market, venue.clock, MarketPrices(venue.market))
        self.inbox.switch(venue.feed)  # once it is up, everything is compared
        self.surroundings.check_key()
        log.info("key_switched", account=self.account_id, key_row=venue.key_row)

    def _report(self) -> dict[str, object]:
        """What the heartbeat tells."""
        clock = self.venue.clock
        return {
            "exchange_ms": clock.now_ms(),
            "rate_ratio": clock.rate_ratio,
            "offset_ms": self.surroundings.clock_offset_ms,
            "stream": self.stream,
            "is_ready": self.is_ready,
            "reconciliation": self.comparisons.last,
            "queue": len(self.inbox),
            "unprotected_qty": str(self.protection.unprotected_qty),
            "unprotected_qty_max": str(self.protection.unprotected_qty_max),
            "redis_down": self.context.redis_down,
            "problems": self.surroundings.problems,
            "flattening": sorted(self.halting.running),
            "incidents": INCIDENTS.told(),
        }
