"""The execution process: one thread that owns an account's orders, woken by frames, NOTIFY and the clock.

Losing the lease, the private stream or a key ends the process with a code of its own; losing the database only pauses
it, and nothing is sent meanwhile, because every send commits first.
"""

import signal
import time
from collections.abc import Callable
from enum import IntEnum
from types import FrameType

import structlog
from django.db import InterfaceError, OperationalError, connection

from accounts.selectors.trading_accounts import active_key_id
from avigrid.common import heartbeats, leases, metrics, push
from avigrid.common.leases import HeldLease, LeaseLost
from avigrid.exchange.ports import StreamState
from risk.core.states import State
from risk.selectors.guards import effective_state
from trading.models import OPEN_PLAN_STATUSES, Plan
from trading.runtime import gauges
from trading.runtime.context import Context
from trading.runtime.doubts import Doubts
from trading.runtime.faults import fault_point
from trading.runtime.fee_watch import FeeWatch
from trading.runtime.foreign import Foreign
from trading.runtime.halting import Halting
from trading.runtime.hearing import Effects, Hearing
from trading.runtime.idle import Idle
from trading.runtime.inbox import Failed, Heard, Inbox, Item, Woken, database_url
from trading.runtime.prices import MarketPrices
from trading.runtime.protection import Protection
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

LEASE_TTL_S = 15.0


class Exit(IntEnum):
    STOPPED = 0
    FAILED = 1
    LEASE_HELD = 3
    KEY_CHANGED = 4
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
        self._lease: HeldLease | None = None
        self._stopping = False
        self._exit = Exit.STOPPED
        self.inbox: Inbox
        self._pending: list[Item] = []
        self._drained = Effects()
        self._timers = Timers()
        self._is_database_up = True
        self.is_ready = False
        self.stream = "connecting"
        self._is_stream_up = False
        self.last_reconciliation = ""

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
        self._lease = lease
        self.venue = self._given_venue or open_venue(self.account_id)
        self.context = Context(
            account_id=self.account_id,
            environment=account.environment,
            hedge_mode=account.hedge_mode,
            gateway=self.venue.gateway,
            market=self.venue.market,
            clock=self.venue.clock,
            prices=MarketPrices(self.venue.market),
            fence=lease,
        )
        self._assemble()
        heartbeats.beat(process_name(self.account_id), {}, started=True)
        self.inbox.start()
        return True

    def close(self) -> None:
        if self._lease is not None:
            if hasattr(self, "inbox"):
                self.inbox.stop()
            try:
                leases.release(self._lease)
            except (OperationalError, InterfaceError):
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

    def turn(self, wait_s: float = 0.2) -> None:
        """One round: wait at most `wait_s` for news, then do whatever is due."""
        self._pending += self.inbox.take(wait_s=0.0 if self._pending else wait_s)
        gauges.QUEUE.set(len(self.inbox))
        try:
            self._turn()
            self._is_database_up = True
        except (OperationalError, InterfaceError) as error:
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
        if self._timers.lease.due(now_s) and self._lease is not None:
            leases.renew(self._lease, ttl_s=LEASE_TTL_S)
        effects = self._digest()
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
        self._sweeps(now_s)
        if self._timers.heartbeat.due(now_s):
            self._beat()

    @property
    def _may_enter(self) -> bool:
        """A fill that cannot be heard cannot be protected in time: no entry without the private stream."""
        return self.is_ready and self._is_stream_up and self.surroundings.are_good

    def _digest(self) -> Effects:
        """Pending items in order; they leave the list only once they are committed."""
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
        if any(woken.kind == "finding" for woken in others):
            self._foreign_wishes()
        if self.is_ready and any(woken.kind == "reconcile" for woken in others):
            self._reconcile("manual")
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
            self._is_stream_up = state.kind == "up"
        log.info("private_stream", state=state.kind, reason=state.reason)
        if state.kind in ("up", "gap") and self.is_ready:
            self._reconcile("reconnect")

    def _start_up(self, now_s: float) -> None:
        """Nothing opens before this went well once; it is tried again with every turn of its timer."""
        if not self._timers.full.due(now_s) and self._timers.full.last_s + 2.0 > now_s:
            return
        self._timers.full.last_s = now_s
        self.surroundings.set_position_mode()
        self.doubts.run(set())
        result = self._reconcile("start")
        self._resume_flatten()  # whatever the comparison said: getting flat needs no more than the venue
        if result not in ("good", "findings"):
            return  # "incomplete", or "busy": somebody else's look tells this process nothing
        self.protection.run(audit_all=True)
        for timer in (self._timers.orders, self._timers.positions, self._timers.wallet, self._timers.audit):
            timer.last_s = now_s
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

    def _sweeps(self, now_s: float) -> None:
        if not self.is_ready:
            return
        if self._timers.full.due(now_s):
            self._reconcile("full")
        if self._timers.orders.due(now_s):
            self._reconcile("orders")
        if self._timers.positions.due(now_s):
            self._foreign_wishes()
            self._reconcile("positions")
        if self._timers.wallet.due(now_s):
            self._reconcile("wallet")
        if self._timers.audit.due(now_s):
            self.protection.run(audit_all=True)
        if self._timers.idle.due(now_s):
            self.idle.look()

    def _foreign_wishes(self) -> None:
        if self.is_ready and self.foreign.run():
            self._timers.positions.last_s = float("-inf")

    def _reconcile(self, scope: str) -> str:
        """One at a time per account: while a run by hand holds the lease, this one waits for its next time."""
        lease = leases.acquire(f"reconciliation:{self.account_id}", ttl_s=60.0)
        if lease is None:
            return "busy"
        try:
            result = self.reconciler.run(scope)
        finally:
            leases.release(lease)
        self.last_reconciliation = f"{scope} {result.status}"
        return result.status

    def _look_around(self, now_s: float) -> None:
        self.context.look_at_redis()
        self.triggers.look()
        if self._given_venue is None and active_key_id(self.account_id) != self.venue.key_row:
            log.warning("key_changed")
            self._exit, self._stopping = Exit.KEY_CHANGED, True
        if self._timers.clock.due(now_s):
            self.surroundings.measure_clock()
        if self._timers.key.due(now_s):
            self.surroundings.check_key()
        if self.is_ready:
            self.fee_watch.look()

    def _beat(self) -> None:
        clock = self.venue.clock
        heartbeats.beat(
            process_name(self.account_id),
            {
                "exchange_ms": clock.now_ms(),
                "rate_ratio": clock.rate_ratio,
                "offset_ms": self.surroundings.clock_offset_ms,
                "stream": self.stream,
                "is_ready": self.is_ready,
                "reconciliation": self.last_reconciliation,
                "queue": len(self.inbox),
                "unprotected_qty": str(self.protection.unprotected_qty),
                "unprotected_qty_max": str(self.protection.unprotected_qty_max),
                "redis_down": self.context.redis_down,
                "problems": self.surroundings.problems,
                "flattening": sorted(self.halting.running),
            },
        )
