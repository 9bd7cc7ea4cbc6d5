"""Which symbols are ours: leases shared by any number of market-data processes, by nothing but the database.

Every process holds a member lease; the live ones are counted, and each takes its fair share of free symbols and gives
back what it has beyond that. A process that dies stops renewing: its symbols are free after `ttl_s`.
"""

import time
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog
from django.db import DatabaseError, InterfaceError
from django.db.models.functions import Now

from avigrid.common import leases
from avigrid.common.leases import HeldLease, LeaseLost
from avigrid.common.models import Lease

MEMBER = "marketdata:member:"
SYMBOL = "marketdata:symbol:"

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ShardChange:
    gained: tuple[HeldLease, ...] = ()
    lost: tuple[str, ...] = ()
    """Symbols another process has, or may have by now: stop at once, nothing to give back."""
    surplus: tuple[str, ...] = ()
    """Symbols beyond our share: finish what is queued, then `give_back`."""


class ShardKeeper:
    """Synchronous; one thread at a time. `tick` well before `ttl_s` is over, at most every third of it."""

    def __init__(
        self,
        *,
        holder: str | None = None,
        ttl_s: float = 9.0,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.holder = holder or leases.holder_name()
        self._ttl_s = ttl_s
        self._monotonic = monotonic
        self._held: dict[str, HeldLease] = {}
        self._renewed_s: dict[str, float] = {}
        self._member: HeldLease | None = None

    @property
    def held(self) -> dict[str, HeldLease]:
        return dict(self._held)

    def tick(self, wanted: Sequence[str]) -> ShardChange:
        """Renew, count, take and offer. Without the database nothing is gained, and what ran out is lost."""
        try:
            return self._tick(wanted)
        except (DatabaseError, InterfaceError) as error:
            log.error("shards_without_database", error=str(error), held=len(self._held))
            return ShardChange(lost=self._drop(self._ran_out()))

    def give_back(self, symbol: str) -> None:
        lease = self._held.pop(symbol, None)
        self._renewed_s.pop(symbol, None)
        if lease is None:
            return
        try:
            leases.release(lease)
        except (DatabaseError, InterfaceError) as error:
            log.warning("lease_not_released", symbol=symbol, error=str(error))  # it runs out by itself

    def leave(self) -> None:
        """After the last worker stopped."""
        for symbol in list(self._held):
            self.give_back(symbol)
        if self._member is not None:
            leases.release(self._member)
            self._member = None

    def _tick(self, wanted: Sequence[str]) -> ShardChange:
        lost = list(self._ran_out())
        for symbol in set(self._held) - set(lost):
            started_s = self._monotonic()
            try:
                leases.renew(self._held[symbol], ttl_s=self._ttl_s)
            except LeaseLost:
                lost.append(symbol)
            else:
                self._renewed_s[symbol] = started_s
        self._drop(lost)
        members = self._count_members()
        share = -(-len(wanted) // members)
        unwanted = [symbol for symbol in self._held if symbol not in wanted]
        ours = [symbol for symbol in self._held if symbol in wanted]
        gained = self._take(wanted, share - len(ours)) if not unwanted else ()
        return ShardChange(gained, tuple(lost), (*unwanted, *ours[share:]))

    def _count_members(self) -> int:
        name = MEMBER + self.holder
        self._member = leases.acquire(name, ttl_s=self._ttl_s, holder=self.holder)
        return max(1, Lease.objects.filter(name__startswith=MEMBER, expires_at__gte=Now()).count())

    def _take(self, wanted: Sequence[str], count: int) -> tuple[HeldLease, ...]:
        if count <= 0:
            return ()
        taken = {
            name.removeprefix(SYMBOL)
            for name in Lease.objects.filter(name__startswith=SYMBOL, expires_at__gte=Now()).values_list(
                "name", flat=True
            )
        }
        free = [symbol for symbol in wanted if symbol not in taken and symbol not in self._held]
        # Each process begins elsewhere, so that two who start together rarely reach for the same one.
        begin = zlib.crc32(self.holder.encode()) % max(1, len(free))
        gained = []
        for symbol in free[begin:] + free[:begin]:
            started_s = self._monotonic()
            lease = leases.acquire(SYMBOL + symbol, ttl_s=self._ttl_s, holder=self.holder)
            if lease is not None:
                self._held[symbol] = lease
                self._renewed_s[symbol] = started_s
                gained.append(lease)
                if len(gained) == count:
                    break
        return tuple(gained)

    def _ran_out(self) -> tuple[str, ...]:
        now_s = self._monotonic()
        return tuple(symbol for symbol, at_s in self._renewed_s.items() if now_s - at_s >= self._ttl_s)

    def _drop(self, symbols: Sequence[str]) -> tuple[str, ...]:
        for symbol in symbols:
            self._held.pop(symbol, None)
            self._renewed_s.pop(symbol, None)
        return tuple(symbols)


def symbol_of(lease: HeldLease) -> str:
    return lease.name.removeprefix(SYMBOL)
