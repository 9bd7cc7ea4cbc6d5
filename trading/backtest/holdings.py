"""What a replayed plan holds and what it has made: lots by rung and cycle, legs, funding, profit bar by bar."""

from dataclasses import dataclass
from decimal import Decimal

from avigrid.kernel.money import ZERO
from trading.backtest.result import Leg

type Key = tuple[int, int]


@dataclass(slots=True)
class Lot:
    """What one rung and cycle holds."""

    quantity: Decimal
    price: Decimal
    entry_ms: int
    fee_ratio: Decimal
    slippage_per_unit: Decimal


@dataclass(frozen=True, slots=True)
class Segment:
    """From the end of fine bar `bar` on: what was realised so far and what is held at which average."""

    bar: int
    realised_usd: float
    signed_qty: float
    average: float


class Holdings:
    """The ledger of one plan; fees leave `realised` when they are paid."""

    def __init__(self, number: int, direction: int) -> None:
        self._number = number
        self._direction = direction
        self.lots: dict[Key, Lot] = {}
        self.legs: list[Leg] = []
        self.segments: list[Segment] = []
        self.funding = ZERO
        self._realised = ZERO

    @property
    def quantity(self) -> Decimal:
        return sum((lot.quantity for lot in self.lots.values()), ZERO)

    def enter(self, key: Key, lot: Lot) -> None:
        self.lots[key] = lot
        self._realised -= lot.quantity * lot.price * lot.fee_ratio

    def sell(
        self,
        key: Key,
        size: Decimal,
        at: Decimal,
        *,
        exit_ms: int,
        fee: Decimal,
        slipped: Decimal,
        why: str,
        rung: int | None = None,
    ) -> None:
        """`slipped` is what a unit lost against the price wanted; `rung` where the exit counts its own."""
        lot = self.lots[key]
        gross = self._direction * (at - lot.price) * size
        self.legs.append(
            Leg(
                plan=self._number,
                rung=key[0] if rung is None else rung,
                cycle=key[1],
                entry_ms=lot.entry_ms,
                entry_price=lot.price,
                exit_ms=exit_ms,
                exit_price=at,
                quantity=size,
                exit=why,
                gross_usd=gross,
                fees_usd=size * (lot.price * lot.fee_ratio + at * fee),
                slippage_usd=size * (lot.slippage_per_unit + slipped),
            )
        )
        self._realised += gross - size * at * fee
        lot.quantity -= size
        if lot.quantity <= 0:
            del self.lots[key]

    def pay_funding(self, price: Decimal, rate: Decimal) -> None:
        paid = self._direction * self.quantity * price * rate
        self.funding += paid
        self._realised -= paid

    def mark(self, bar: int) -> None:
        size = self.quantity
        cost = sum((lot.quantity * lot.price for lot in self.lots.values()), ZERO)
        average = float(cost / size) if size else 0.0
        self.segments.append(Segment(bar, float(self._realised), float(self._direction * size), average))
