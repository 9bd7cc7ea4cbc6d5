"""What every part of a reconciliation shares: whose turn it is, our side of the picture, and how findings end."""

from collections.abc import Callable, Iterator, Set
from contextlib import contextmanager
from dataclasses import dataclass, field

from avigrid.common import leases
from avigrid.common.leases import HeldLease, LeaseLost
from avigrid.kernel.orders import VenueOrder
from trading.engine.differences import BookedOrder, Books, Difference, Kind
from trading.models import ReconciliationFinding
from trading.runtime.context import Context
from trading.runtime.hearing import Hearing
from trading.selectors.books import booked_positions, busy_positions, done_orders, live_orders
from trading.services.findings import finding_close
from trading.services.intents import installation

TURN_TTL_S = 60.0


@dataclass(slots=True)
class Comparing:
    """One run at a time per account, by lease: `lease` is the turn of the run that is on."""

    context: Context
    hearing: Hearing
    drain: Callable[[], None] = field(default=lambda: None)
    """Lets the caller book what its stream has delivered meanwhile, before anything is called missing."""
    lease: HeldLease | None = None

    def begin(self) -> bool:
        """False where another process compares this account."""
        self.lease = leases.acquire(f"reconciliation:{self.context.account_id}", ttl_s=TURN_TTL_S)
        return self.lease is not None

    def end(self) -> None:
        if self.lease is not None:
            leases.release(self.lease)
            self.lease = None

    def keep(self) -> None:
        """Between two questions to the venue. Raises LeaseLost where the turn, or the process's own lease, is gone."""
        self.context.pulse()
        if self.lease is not None:
            leases.renew(self.lease, ttl_s=TURN_TTL_S)

    def is_turn(self, error: LeaseLost) -> bool:
        """Whether it is the turn that was lost: that ends the run; any other lease ends the process."""
        return self.lease is not None and error.details.get("name") == self.lease.name

    @contextmanager
    def books(self) -> Iterator[None]:
        """The account's lock, fenced by the turn as well: a run that was overtaken writes nothing more."""
        with self.context.books():
            if self.lease is not None:
                leases.check(self.lease)
            yield

    def picture(self, live: list[BookedOrder], known: set[str], *, listed: list[VenueOrder] | None = None) -> Books:
        links = [row.order_link_id for row in listed or () if row.order_link_id]
        return Books(
            installation=installation(),
            live_orders=live,
            done_orders=done_orders(self.context.account_id, links, self.context.now()),
            positions=booked_positions(self.context.account_id),
            busy=busy_positions(self.context.account_id),
            known_executions=frozenset(known),
        )

    def live_orders(self) -> list[BookedOrder]:
        return live_orders(self.context.account_id, self.context.now())

    def close_gone(self, found: list[Difference], kinds: tuple[Kind, ...], *, unproven: Set[str] = frozenset()) -> None:
        """Open findings of these kinds whose cause is not seen any more; `unproven` subjects were not judged."""
        still = {(row.kind.value, row.subject[:100]) for row in found}
        for finding in ReconciliationFinding.objects.filter(
            account_id=self.context.account_id, is_open=True, kind__in=[kind.value for kind in kinds]
        ):
            if (finding.kind, finding.subject) not in still and finding.subject not in unproven:
                finding_close(
                    finding=finding, now=self.context.now(), resolution="gone", proof="venue and books agree again"
                )
