"""What somebody wants to do: open a plan, place an exit, close, protect, cancel."""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from avigrid.kernel.money import ZERO


class RequestKind(StrEnum):
    """OPEN adds risk. EXIT rests a reduce-only order, CLOSE takes a position off now, PROTECT sets or moves a stop."""

    OPEN = "open"
    EXIT = "exit"
    CLOSE = "close"
    PROTECT = "protect"
    CANCEL = "cancel"

    @property
    def reduces_only(self) -> bool:
        return self in (RequestKind.EXIT, RequestKind.CLOSE)


@dataclass(frozen=True, slots=True)
class OrderLine:
    """One order of the request; `price` None is a market order."""

    quantity: Decimal
    price: Decimal | None = None


@dataclass(frozen=True, slots=True)
class RiskRequest:
    """`direction` is the plan's or position's own (+1 long, -1 short), for exits too.

    `risk_usd` is the loss, fees included, if every line fills and the stop is hit. `position_qty` is what a
    reduce-only line can reduce, `resting_exit_qty` what other live reduce-only orders already claim of it.
    """

    kind: RequestKind
    symbol: str
    base_coin: str
    direction: int
    mark_price: Decimal
    lines: tuple[OrderLine, ...] = ()
    qty_step: Decimal = ZERO
    tick_size: Decimal = ZERO
    risk_usd: Decimal = ZERO
    stop_price: Decimal | None = None
    current_stop_price: Decimal | None = None
    leverage: Decimal = Decimal(1)
    maintenance_margin_ratio: Decimal = Decimal("0.01")
    position_qty: Decimal = ZERO
    resting_exit_qty: Decimal = ZERO
    reference: str = ""

    def __post_init__(self) -> None:
        if self.direction not in (1, -1):
            raise ValueError(f"direction must be +1 or -1, got {self.direction}")
        if self.mark_price <= 0:
            raise ValueError(f"mark price must be positive, got {self.mark_price}")
        if self.leverage <= 0:
            raise ValueError(f"leverage must be positive, got {self.leverage}")
        if self.kind is RequestKind.OPEN and (not self.lines or self.stop_price is None):
            raise ValueError("an opening request needs its order lines and its stop")

    @property
    def opens(self) -> bool:
        return self.kind is RequestKind.OPEN

    @property
    def quantity(self) -> Decimal:
        return sum((line.quantity for line in self.lines), ZERO)

    @property
    def notional_usd(self) -> Decimal:
        return sum((line.quantity * self.price_of(line) for line in self.lines), ZERO)

    @property
    def entry_price(self) -> Decimal:
        """Average price if every line fills."""
        quantity = self.quantity
        return self.notional_usd / quantity if quantity else self.mark_price

    @property
    def stop_distance(self) -> Decimal:
        """From the average entry to the stop; negative when the stop lies on the winning side."""
        return ZERO if self.stop_price is None else (self.entry_price - self.stop_price) * self.direction

    @property
    def full_risk_usd(self) -> Decimal:
        """The stated risk, never less than what the lines and the stop themselves say (fees aside)."""
        if self.stop_price is None:
            return self.risk_usd
        stop = self.stop_price
        legs = ((self.price_of(line) - stop) * self.direction * line.quantity for line in self.lines)
        return max(self.risk_usd, sum((max(leg, ZERO) for leg in legs), ZERO))

    def price_of(self, line: OrderLine) -> Decimal:
        return self.mark_price if line.price is None else line.price
