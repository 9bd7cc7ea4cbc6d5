"""The kill switch by hand: needs the database and the venue, nothing else of ours.

The state is committed first, so that a running execution process stops by itself; then the venue is asked, because
that process may be the reason for pulling the switch. Neither waits for the other: books that somebody holds are
written later, and a venue that does not answer is opened again and again.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

import structlog
from django.db import InterfaceError, OperationalError, connection
from django.utils import timezone

from avigrid.common import heartbeats
from avigrid.exchange.ports import OrderGateway
from avigrid.kernel.errors import AviGridError, OperatorNeeded
from risk.core.states import StateSource
from trading.runtime.flatten import ESCALATE_AFTER, Flattener
from trading.runtime.kill_books import BooksBusy, KillBooks, Switch, bounded
from trading.runtime.venue_line import VenueLine
from trading.selectors.exchange_time import EXECUTION_STALE_S, process_name
from trading.services.alerts import alert_raise

log = structlog.get_logger(__name__)
_EXECUTION_PATIENCE_S = 8.0
_CLOSE_EVERY_S = 3.0
_TURN_S = 0.3
_PAUSE_MAX_S = 5.0
_BOOKS_EVERY_S = 3.0
_ALERT_PATIENCE_MS = 1_000


@dataclass(frozen=True, slots=True)
class Outcome:
    """`done`: HALTED stands, and the venue itself says so (no entries resting; flat where that was asked)."""

    done: bool
    entries_cancelled: int
    still_held: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()
    unwritten: tuple[str, ...] = ()
    """What the books could not be told, for people."""


def halt_now(
    *,
    account_id: int,
    symbol: str | None,
    reason: str,
    actor: str,
    source: StateSource,
    line: VenueLine | None = None,
) -> Outcome:
    """HALTED, and our resting entries gone from the venue; exits and stops stay."""
    books = KillBooks(account_id, symbol, Switch.HALT, reason, actor, source)
    books.write()
    try:
        gateway = (line or VenueLine(account_id, process=actor)).venue().gateway
        flattener = Flattener(gateway, symbol, only_ours=True)
        cancelled = flattener.cancel_entries()
        left = flattener.entries()
    except AviGridError as error:
        return Outcome(False, 0, errors=(f"{error.code}: {error.message}",), unwritten=books.unwritten)
    return Outcome(books.is_halted and not left, cancelled, errors=tuple(flattener.errors), unwritten=books.unwritten)


def flatten_now(
    *,
    account_id: int,
    symbol: str | None,
    reason: str,
    actor: str,
    timeout_s: float = 120.0,
    say: Callable[[str], None] = lambda text: None,
    monotonic: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
    line: VenueLine | None = None,
) -> Outcome:
    """HALTED, everything closed, verified at the venue. An execution process that is alive gets the first seconds."""
    books = KillBooks(account_id, symbol, Switch.FLATTEN, reason, actor, StateSource.COMMAND)
    return _Flattening(books, line or VenueLine(account_id, process=actor), say, monotonic).run(timeout_s, sleep)


class _Flattening:
    def __init__(
        self, books: KillBooks, line: VenueLine, say: Callable[[str], None], monotonic: Callable[[], float]
    ) -> None:
        self._books = books
        self._line = line
        self._say = say
        self._monotonic = monotonic
        self._flattener: Flattener | None = None
        self._held: tuple[str, ...] | None = None
        """None: the venue did not say."""
        self._cancelled = 0
        self._closed_s = self._written_s = float("-inf")
        self._pause_s = _TURN_S
        self._errors: list[str] = []

    def run(self, timeout_s: float, sleep: Callable[[float], None]) -> Outcome:
        started_s = self._monotonic()
        is_escalated = False
        while True:
            elapsed_s = self._monotonic() - started_s
            if self._turn(elapsed_s):
                return self._outcome(done=True)
            if not is_escalated and elapsed_s > ESCALATE_AFTER.total_seconds():
                is_escalated = True
                self._escalate()
            if elapsed_s > timeout_s:
                return self._outcome(done=False)
            sleep(self._pause_s)

    def _turn(self, elapsed_s: float) -> bool:
        """True once everything is done. The books come first, but nothing at the venue waits for them."""
        self._held = None
        try:
            self._write()
            is_flat = self._close(self._gateway(), elapsed_s)
            self._pause_s = _TURN_S
            if not is_flat or not self._books.is_halted:
                return False
            self._books.finish()
        except OperatorNeeded as error:
            if self._flattener is None and error.code == "no_api_key":
                raise  # no key, no venue: waiting brings none
            self._failed(error.code)
        except AviGridError as error:
            if error.code == "unknown_account":
                raise
            self._failed(error.code)
        else:
            return True
        return False

    def _write(self) -> None:
        if self._monotonic() - self._written_s <= _BOOKS_EVERY_S:
            return
        was_waiting = self._books.waiting
        try:
            self._books.write()
        except (OperationalError, InterfaceError) as error:
            self._database_lost(error)
        self._written_s = self._monotonic()
        if self._books.waiting and not was_waiting:
            self._say(f"the books wait ({self._books.waiting}); going on at the venue")

    def _gateway(self) -> OrderGateway:
        gateway = self._line.venue().gateway
        if self._flattener is None or self._flattener.gateway is not gateway:
            self._flattener = Flattener(gateway, self._books.symbol, errors=self._errors)
        return gateway

    def _close(self, gateway: OrderGateway, elapsed_s: float) -> bool:
        flattener = self._flattener
        assert flattener is not None
        self._cancelled += flattener.cancel_entries()
        rows = flattener.held()
        self._held = tuple(row.symbol for row in rows)
        if not rows and not flattener.entries():
            return True
        ours_to_do = elapsed_s > _EXECUTION_PATIENCE_S or not _is_execution_alive(self._books.account_id)
        if rows and ours_to_do and self._monotonic() - self._closed_s > _CLOSE_EVERY_S:
            self._closed_s = self._monotonic()
            self._say(f"closing {', '.join(sorted(self._held))}")
            flattener.close(rows, now=timezone.now())
        return False

    def _failed(self, code: str) -> None:
        self._errors.append(code)
        self._say(f"no answer ({code}), trying again")
        self._pause_s = min(self._pause_s * 2, _PAUSE_MAX_S)

    def _database_lost(self, error: Exception) -> None:
        log.warning("database_lost", error=type(error).__name__)
        self._books.waiting = "The database does not answer."
        connection.close()

    def _escalate(self) -> None:
        self._say(f"not flat after {ESCALATE_AFTER.seconds} s: operators are being told")
        now = timezone.now()
        try:
            with bounded(_ALERT_PATIENCE_MS):
                alert_raise(
                    kind="flatten_stuck",
                    severity="critical",
                    dedupe_key=f"{self._books.account_id}:{now:%Y%m%d%H%M}",
                    sentence=f"Not flat after {ESCALATE_AFTER.seconds} s: {self._what_is_left()}.",
                    now=now,
                )
        except (BooksBusy, OperationalError, InterfaceError) as error:
            log.error("escalation_not_written", error=type(error).__name__)

    def _what_is_left(self) -> str:
        if self._held is None:
            return "the venue does not answer"
        if self._held:
            return ", ".join(sorted(self._held))
        return "orders still rest" if self._books.is_halted else "the trading state cannot be written"

    def _outcome(self, *, done: bool) -> Outcome:
        return Outcome(done, self._cancelled, self._held or (), tuple(self._errors), self._books.unwritten)


def _is_execution_alive(account_id: int) -> bool:
    """A database that does not answer has no living execution process either: it writes before it sends."""
    try:
        age_s = heartbeats.age_s(process_name(account_id))
    except (OperationalError, InterfaceError):
        return False
    return age_s is not None and age_s < EXECUTION_STALE_S
