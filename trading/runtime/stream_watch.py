"""Whether the private stream tells what it should: a socket that lives and answers pings may have lost a subscription.

Whatever is booked from an answer first must be told by the stream moments later. Where it is not, the stream is opened
anew and a person hears of it: fills would be learnt by asking, too late for their stops.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog

from avigrid.exchange.ports import AccountFeed, StreamState
from avigrid.kernel.orders import Execution, VenueOrder
from trading.runtime.inbox import Inbox
from trading.runtime.incidents import INCIDENTS
from trading.services.alerts import alert_raise
from trading.services.booking import FUNDING

log = structlog.get_logger(__name__)

TOLD_WITHIN = timedelta(seconds=5)
_AGAIN_AFTER = timedelta(seconds=60)
"""A stream that stays silent is not opened anew all day long."""


@dataclass(slots=True)
class StreamWatch:
    since_ms: int | None = None
    """Exchange time from which on nothing may be missing; None while the stream is not up."""
    _owed: dict[str, tuple[int, datetime]] = field(default_factory=dict)
    """What only an answer told so far: its exchange time, and when it was booked."""
    _opened_at: datetime | None = None

    def state(self, state: StreamState) -> None:
        """After "up" everything is compared, after "gap" what could not be read: neither is owed by the stream."""
        INCIDENTS.stream(state.kind)
        log.info("private_stream", state=state.kind, reason=state.reason)
        self._owed.clear()
        self.since_ms = None if state.kind == "down" else state.time_ms

    def asked_execution(self, row: Execution, now: datetime) -> None:
        if row.kind != FUNDING:
            self._owe(f"execution {row.reference}", row.time_ms, now)

    def asked_order(self, row: VenueOrder, now: datetime) -> None:
        """The last word of an order: of what happens to it on the way, frames may be put together."""
        if not row.is_open:
            self._owe(f"order {row.order_link_id}", row.updated_ms, now)

    def told(self, events: Sequence[object]) -> None:
        if not self._owed:
            return
        for event in events:
            if isinstance(event, Execution):
                self._owed.pop(f"execution {event.reference}", None)
            elif isinstance(event, VenueOrder):
                owed = self._owed.get(f"order {event.order_link_id}")
                if owed is not None and event.updated_ms >= owed[0]:
                    del self._owed[f"order {event.order_link_id}"]

    def look(self, inbox: Inbox, feed: Callable[[], AccountFeed], *, account_id: int, now: datetime) -> None:
        """Once what came in was heard: the old stream goes on until the new one is up."""
        late = [what for what, (_, at) in self._owed.items() if now - at >= TOLD_WITHIN]
        if not late or len(inbox) or (self._opened_at is not None and now - self._opened_at < _AGAIN_AFTER):
            return
        log.error("private_stream_silent", owed=late[:5], count=len(late))
        self._owed.clear()
        self.since_ms, self._opened_at = None, now
        inbox.switch(feed)
        alert_raise(
            kind="private_stream_silent",
            severity="warning",
            dedupe_key=f"{account_id}:{now:%Y-%m-%d-%H}",
            sentence=f"The private stream is up and does not tell everything ({late[0]}): it is being opened anew.",
            now=now,
        )

    def _owe(self, what: str, at_ms: int, now: datetime) -> None:
        if self.since_ms is not None and at_ms > self.since_ms:
            self._owed.setdefault(what, (at_ms, now))
