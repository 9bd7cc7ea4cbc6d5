"""Faults that act at once: on sockets, on the market, on the exchange as a whole."""

from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING

from avigrid.exchange.simulator.faults import BadFault, Fault, Scalar
from avigrid.exchange.simulator.refusals import Refusal
from avigrid.kernel.orders import Side

if TYPE_CHECKING:
    from avigrid.exchange.simulator.exchange import SimulatedExchange

_STEP_MS = 1_000


class Mischief:
    """Keeps the moves that take time (a price jump spread over seconds) and lets them happen as the clock goes."""

    def __init__(self, exchange: "SimulatedExchange") -> None:
        self._exchange = exchange
        self._drifts: list[tuple[str, Decimal, int, int]] = []
        """(symbol, ratio per step, next step at, steps left)."""

    def strike(self, fault: Fault) -> None:
        board = self._exchange.house.faults
        name = fault.name
        if name in ("half_open", "disconnect"):
            self._sockets(fault)
            return
        if name == "exchange_restart":
            self.restart(fault.number("down_s"))
        elif name == "price_jump":
            ratio = Decimal(str(fault.params["bps"])) / 10_000
            self.jump(_symbol(fault), ratio, over_ms=int(fault.number("over_ms")))
        elif name == "foreign_order":
            self.foreign_order(_symbol(fault), fault.text("side"), fault.text("qty"), fault.text("price"))
        else:
            self.foreign_position(_symbol(fault), fault.text("side"), fault.text("qty"))
        board.strike(fault)
        # These happen once; they stay in the counters, not in the list.
        board.remove(fault_id=fault.fault_id)

    def _sockets(self, fault: Fault) -> None:
        exchange = self._exchange
        house = exchange.house
        for session in list(exchange.sessions):
            if fault.left == 0:
                break
            facts = session.facts(topic=list(session.topics))
            if house.faults.peek(fault.name, house.now_ms, facts) is not fault:
                continue
            house.faults.strike(fault)
            if fault.name == "half_open":
                session.is_deaf = True
            else:
                session.cut(int(fault.number("code")))
        if fault.name == "disconnect":
            refuse_ms = round(fault.number("refuse_s") * 1_000)
            if refuse_ms > 0:
                house.refuse_sockets_until_ms = house.now_ms + refuse_ms
            house.faults.remove(fault_id=fault.fault_id)
        elif fault.until_ms is None:
            # Without a duration only the sockets of this moment go deaf; the ones opened afterwards work.
            house.faults.remove(fault_id=fault.fault_id)

    def restart(self, down_s: float) -> None:
        """Sockets cut, calls refused for a while, the cache of closed orders gone; orders and positions stay."""
        house = self._exchange.house
        if down_s < 0:
            raise BadFault(f"down_s must not be negative, got {down_s}")
        house.down_until_ms = house.now_ms + round(down_s * 1_000)
        house.count("restarts")
        for session in self._exchange.sessions:
            session.cut(1012)
        house.venue.restart()
        self._exchange.public.restart_books()

    def jump(self, symbol: str, ratio: Decimal, *, over_ms: int = 0) -> None:
        """Moves the market by `ratio`; over some time it goes there in steps of one second."""
        exchange = self._exchange
        if symbol not in exchange.symbols:
            raise BadFault(f"unknown symbol {symbol!r}; this exchange lists {', '.join(exchange.symbols)}")
        if not Decimal("-0.99") <= ratio <= Decimal(10):
            raise BadFault(f"a jump must stay within -99 % and +1000 %, got {ratio * 100} %")
        steps = over_ms // _STEP_MS
        if steps <= 1:
            exchange.source.shift(symbol, ratio)
            exchange.venue.price_jump(symbol, ratio)
            return
        each = Decimal(str((1 + float(ratio)) ** (1 / steps) - 1))
        self._drifts.append((symbol, each, exchange.venue.now_ms + _STEP_MS, steps))

    def on_time(self, now_ms: int) -> None:
        if not self._drifts:
            return
        left = []
        for symbol, ratio, due_ms, steps in self._drifts:
            while steps and due_ms <= now_ms:
                self.jump(symbol, ratio)
                due_ms += _STEP_MS
                steps -= 1
            if steps:
                left.append((symbol, ratio, due_ms, steps))
        self._drifts = left

    def foreign_order(self, symbol: str, side: str, qty: str, price: str, **more: Scalar) -> dict[str, object]:
        params: dict[str, Scalar] = {
            "category": "linear",
            "symbol": symbol,
            "side": side,
            "orderType": "Limit" if price else "Market",
            "qty": qty,
            **more,
        }
        if price:
            params["price"] = price
        try:
            return dict(self._exchange.venue.foreign_order(params))
        except Refusal as refusal:
            raise BadFault(f"the venue refuses this order: {refusal.code} {refusal.message}") from refusal

    def transfer(self, amount: str) -> None:
        try:
            self._exchange.venue.transfer(Decimal(amount))
        except InvalidOperation:
            raise BadFault(f"amount must be a number, got {amount!r}") from None
        except Refusal as refusal:
            raise BadFault(f"the venue refuses this transfer: {refusal.code} {refusal.message}") from refusal

    def foreign_position(self, symbol: str, side: str, qty: str) -> None:
        if side not in ("Buy", "Sell"):
            raise BadFault(f"side must be Buy or Sell, got {side!r}")
        try:
            quantity = Decimal(qty)
        except InvalidOperation:
            raise BadFault(f"qty must be a number, got {qty!r}") from None
        try:
            self._exchange.venue.foreign_position(symbol, Side(side), quantity)
        except Refusal as refusal:
            raise BadFault(f"the venue refuses this position: {refusal.code} {refusal.message}") from refusal


def _symbol(fault: Fault) -> str:
    symbol = fault.match.get("symbol", "")
    if not symbol:
        raise BadFault(f'{fault.name} needs a symbol: {{"match": {{"symbol": "BTCUSDT"}}}}')
    return str(symbol)
