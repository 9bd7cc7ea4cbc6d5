"""From our ledger to the venue's transaction log: where they differ, every row that makes the difference, by name."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from avigrid.kernel.money import ZERO, plain
from avigrid.kernel.orders import execution_reference
from avigrid.kernel.portfolio import LedgerRow

TOLERATED_USD = Decimal("0.01")
_ROUNDING_USD = Decimal("0.000001")
"""Both sides divide; what the last digits make of it is no difference."""


class Part(StrEnum):
    TRADES = "trades"
    FEES = "fees"
    FUNDING = "funding"
    TRANSFERS = "transfers"


class Cause(StrEnum):
    MISSED = "missed"
    """In the venue's log, not in our ledger."""
    UNKNOWN_TO_VENUE = "unknown_to_venue"
    """In our ledger, not in the venue's log of that time."""
    AMOUNT = "amount"
    """In both, with different amounts."""


@dataclass(frozen=True, slots=True)
class BookedMoney:
    """One entry of our ledger. `is_foreign`: a trade, fee or funding that belongs to no plan of ours."""

    part: Part
    reference: str
    symbol: str
    change_usd: Decimal
    at_ms: int
    is_foreign: bool = False


@dataclass(frozen=True, slots=True)
class BridgeLine:
    """A difference, or (without a cause) nothing: `venue_usd` - `books_usd` is what it explains."""

    part: Part
    cause: Cause
    reference: str
    symbol: str
    venue_usd: Decimal
    books_usd: Decimal

    @property
    def gap_usd(self) -> Decimal:
        return self.venue_usd - self.books_usd

    @property
    def sentence(self) -> str:
        what = f"{self.symbol} {self.part}".strip()
        amounts = f"venue {plain(round(self.venue_usd, 6))}, books {plain(round(self.books_usd, 6))}"
        return f"{what} {self.reference}: {self.cause.replace('_', ' ')}, {amounts}"


@dataclass(frozen=True, slots=True)
class Bridge:
    """Per part what each side says; `foreign_usd` is the share of our ledger that no plan of ours made."""

    venue: dict[Part, Decimal]
    books: dict[Part, Decimal]
    foreign_usd: Decimal
    lines: tuple[BridgeLine, ...]

    @property
    def gap_usd(self) -> Decimal:
        return sum(self.venue.values(), ZERO) - sum(self.books.values(), ZERO)

    @property
    def unexplained_usd(self) -> Decimal:
        """No more than rounding, or this bridge is wrong itself."""
        return self.gap_usd - sum((line.gap_usd for line in self.lines), ZERO)

    @property
    def is_even(self) -> bool:
        """Also where two errors cancel out, each of them shows."""
        return all(abs(line.gap_usd) <= TOLERATED_USD for line in self.lines) and abs(self.gap_usd) <= TOLERATED_USD


_TRADES = frozenset({"TRADE", "LIQUIDATION", "DELIVERY", "ADL"})
_FUNDING = "SETTLEMENT"


def bridge(rows: Sequence[LedgerRow], booked: Iterable[BookedMoney]) -> Bridge:
    """`booked`: our entries of the same time. Matched by execution and order, then by symbol and amount."""
    venue: dict[tuple[Part, str], tuple[str, Decimal]] = {}
    for row in rows:
        for part, change_usd in _parts(row):
            key = (part, _reference(row, part))
            venue[key] = (row.symbol, venue.get(key, ("", ZERO))[1] + change_usd)
    books: dict[tuple[Part, str], tuple[str, Decimal]] = {}
    foreign = ZERO
    for entry in booked:
        key = (entry.part, _booked_reference(entry))
        books[key] = (entry.symbol, books.get(key, ("", ZERO))[1] + entry.change_usd)
        foreign += entry.change_usd if entry.is_foreign else ZERO
    lines = [
        BridgeLine(key[0], _cause(key in venue, key in books), key[1], (venue.get(key) or books[key])[0], theirs, ours)
        for key in sorted(venue.keys() | books.keys())
        for theirs in [venue.get(key, ("", ZERO))[1]]
        for ours in [books.get(key, ("", ZERO))[1]]
        if abs(theirs - ours) > _ROUNDING_USD
    ]
    return Bridge(_sums(venue), _sums(books), foreign, tuple(_unpaired(lines)))


def part_of(row: LedgerRow) -> Part:
    """What moved money and is neither a trade nor a settlement counts as a transfer: bonus, interest, deposit."""
    kind = row.kind.upper()
    if kind in _TRADES:
        return Part.TRADES
    return Part.FUNDING if kind == _FUNDING else Part.TRANSFERS


def _unpaired(lines: Sequence[BridgeLine]) -> list[BridgeLine]:
    """Without the pairs of one amount in one symbol that merely go by different ids on the two sides."""
    waiting: dict[tuple[Part, str, Decimal], list[BridgeLine]] = {}
    for line in lines:
        if line.cause is Cause.UNKNOWN_TO_VENUE:
            waiting.setdefault((line.part, line.symbol, line.books_usd), []).append(line)
    paired: set[int] = set()
    for line in lines:
        if line.cause is Cause.MISSED and waiting.get((line.part, line.symbol, line.venue_usd)):
            paired |= {id(line), id(waiting[line.part, line.symbol, line.venue_usd].pop())}
    return [line for line in lines if id(line) not in paired]


def _parts(row: LedgerRow) -> list[tuple[Part, Decimal]]:
    part = part_of(row)
    if part is Part.TRANSFERS:
        return [(part, row.change_usd)]
    found = [(Part.TRADES, row.cash_flow_usd), (Part.FEES, -row.fee_usd), (Part.FUNDING, row.funding_usd)]
    return [(name, change) for name, change in found if change]


def _reference(row: LedgerRow, part: Part) -> str:
    if part is Part.TRANSFERS:
        return row.row_id
    return row.trade_id if part is Part.FUNDING else execution_reference(row.trade_id, row.order_id)


def _booked_reference(entry: BookedMoney) -> str:
    return entry.reference.partition("/")[0] if entry.part is Part.FUNDING else entry.reference


def _cause(in_venue: bool, in_books: bool) -> Cause:
    if in_venue and in_books:
        return Cause.AMOUNT
    return Cause.MISSED if in_venue else Cause.UNKNOWN_TO_VENUE


def _sums(sides: dict[tuple[Part, str], tuple[str, Decimal]]) -> dict[Part, Decimal]:
    sums = dict.fromkeys(Part, ZERO)
    for (part, _), (_, change_usd) in sides.items():
        sums[part] += change_usd
    return sums
