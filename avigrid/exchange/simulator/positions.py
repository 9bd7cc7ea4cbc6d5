"""One position: exact entry value, realised results, protection. Size in steps, signed (+ long, - short)."""

from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING

from avigrid.exchange.simulator.orders import Order

if TYPE_CHECKING:
    from avigrid.exchange.simulator.market import Market

ZERO = Decimal(0)
GRAIN = Decimal("1e-12")
"""Parts of values and fees are cut here; the rest stays with what remains, so that sums are exact."""


@dataclass(slots=True, eq=False)
class Change:
    """What one fill did: how much it closed, at what entry value, with which result and share of the opening fees.
    Never changed; not frozen, because one is made for every closing fill."""

    closed: int
    closed_entry_value: Decimal
    exit_value: Decimal
    pnl: Decimal
    open_fee: Decimal


_NOTHING_CLOSED = Change(0, ZERO, ZERO, ZERO, ZERO)


@dataclass(slots=True, eq=False)
class Position:
    market: "Market"
    idx: int
    size: int = 0
    entry_value: Decimal = ZERO
    open_fees: Decimal = ZERO
    current_realised: Decimal = ZERO
    total_realised: Decimal = ZERO
    take_profit: Decimal | None = None
    stop_loss: Decimal | None = None
    trailing: Decimal | None = None
    active_price: Decimal | None = None
    tp_trigger_by: str = "LastPrice"
    sl_trigger_by: str = "LastPrice"
    tpsl_mode: str = "Full"
    guards: dict[str, Order] = field(default_factory=dict)
    """Full-mode child orders by stopOrderType."""
    extra_margin: Decimal = ZERO
    auto_add: int = 0
    created_ms: int = 0
    updated_ms: int = 0
    opened_ms: int = 0
    seq: int = -1
    status: str = "Normal"

    @property
    def direction(self) -> int:
        """+1 long, -1 short, 0 flat."""
        return (self.size > 0) - (self.size < 0)

    @property
    def quantity(self) -> Decimal:
        return abs(self.size) * self.market.step

    @property
    def entry_price(self) -> Decimal:
        return self.entry_value / self.quantity if self.size else ZERO

    def apply(self, side: int, steps: int, price: Decimal, fee: Decimal, now_ms: int) -> Change:
        """A fill of `steps` at `price`: the part against the position closes, the rest opens (or flips)."""
        step = self.market.step
        closed = min(steps, abs(self.size)) if self.size * side < 0 else 0
        opened = steps - closed
        change = _NOTHING_CLOSED
        close_fee = (fee * closed / steps).quantize(GRAIN) if opened else fee
        if closed:
            total = abs(self.size)
            entry_part, fee_part = self.entry_value, self.open_fees
            if closed < total:
                entry_part = (entry_part * closed / total).quantize(GRAIN)
                fee_part = (fee_part * closed / total).quantize(GRAIN)
            exit_value = closed * step * price
            pnl = (exit_value - entry_part) * -side
            change = Change(closed, entry_part, exit_value, pnl, fee_part)
            self.entry_value -= entry_part
            self.open_fees -= fee_part
            self.size += side * closed
            self.current_realised += pnl - close_fee
            self.total_realised += pnl - close_fee
            if self.size == 0:
                self._flatten()
        if opened:
            open_fee = fee - close_fee if closed else fee
            if self.size == 0:
                self.opened_ms = now_ms
                self.current_realised = ZERO
                self.created_ms = self.created_ms or now_ms
            self.size += side * opened
            self.entry_value += opened * step * price
            self.open_fees += open_fee
            self.current_realised -= open_fee
            self.total_realised -= open_fee
        self.updated_ms = now_ms
        return change

    def _flatten(self) -> None:
        self.entry_value = self.open_fees = ZERO
        self.extra_margin = ZERO
        self.status = "Normal"
