"""Private REST of one account: the OrderGateway of `avigrid.exchange.ports`. Synchronous and thread-safe."""

from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal

from avigrid.exchange.bybit import calls
from avigrid.exchange.bybit.calls import Call, Lane
from avigrid.exchange.bybit.codec.execution import executions_of_reply
from avigrid.exchange.bybit.codec.fields import MalformedMessage
from avigrid.exchange.bybit.codec.instrument import fee_rates_of_reply
from avigrid.exchange.bybit.codec.key import key_info_of_reply
from avigrid.exchange.bybit.codec.ledger import ledger_of_reply
from avigrid.exchange.bybit.codec.order import batch_answers, order_ack, order_params, orders_of_reply
from avigrid.exchange.bybit.codec.position import positions_of_reply
from avigrid.exchange.bybit.codec.wallet import wallet_of_reply
from avigrid.exchange.bybit.errors import error_for_code
from avigrid.exchange.bybit.paging import Reply, pages, weeks
from avigrid.exchange.bybit.rest import RestClient
from avigrid.kernel.errors import AviGridError, Bug, OutcomeUnknown, Rejected
from avigrid.kernel.instrument import FeeRates
from avigrid.kernel.money import plain
from avigrid.kernel.orders import Execution, OrderAck, OrderIntent, OrderType, VenueOrder
from avigrid.kernel.portfolio import KeyInfo, LedgerRow, VenuePosition, Wallet

MOST_AT_ONCE = 10
"""Orders in one batch: a second's budget of the default account; the venue takes twenty."""
_LINEAR: dict[str, object] = {"category": "linear"}
_USDT: dict[str, object] = {"category": "linear", "settleCoin": "USDT"}


class BybitGateway:
    def __init__(self, rest: RestClient, *, read_patience_s: float = 10.0, write_patience_s: float = 3.0) -> None:
        """The patiences bound the wait for a request budget; past them the call was surely not sent (Retryable)."""
        self._rest = rest
        self._read_patience_s = read_patience_s
        self._write_patience_s = write_patience_s

    def place(self, intent: OrderIntent) -> OrderAck:
        params = {**_LINEAR, **order_params(intent)}
        reply = self._write(calls.CREATE, params, lane_of(intent))
        try:
            return order_ack(reply)
        except MalformedMessage as error:
            raise _unreadable(calls.CREATE, error) from error

    def cancel(self, *, symbol: str, order_link_id: str = "", order_id: str = "") -> None:
        """An order that is gone already raises OrderNotFound: look what became of it."""
        if not order_link_id and not order_id:
            raise Bug("cancel needs an order_id or an order_link_id", symbol=symbol)
        which = {"orderId": order_id} if order_id else {"orderLinkId": order_link_id}
        self._write(calls.CANCEL, {**_LINEAR, "symbol": symbol, **which}, Lane.PROTECT)

    def cancel_batch(self, orders: Sequence[tuple[str, str]]) -> list[AviGridError | None]:
        """(symbol, order link id) of at most MOST_AT_ONCE. None: the venue cancels it; else what it says of it."""
        if not 0 < len(orders) <= MOST_AT_ONCE:
            raise Bug(f"{len(orders)} orders in one batch")
        named = [{"symbol": symbol, "orderLinkId": order_link_id} for symbol, order_link_id in orders]
        reply = self._write(calls.CANCEL_BATCH, {**_LINEAR, "request": named}, Lane.PROTECT, cost=len(named))
        try:
            answers = batch_answers(reply, len(named))
        except MalformedMessage as error:
            raise _unreadable(calls.CANCEL_BATCH, error) from error
        return [
            error_for_code(code, text, writes=True, call=calls.CANCEL_BATCH.name) if code else None
            for code, text in answers
        ]

    def set_stop(self, *, symbol: str, position_idx: int, stop_loss: Decimal) -> None:
        params = {
            **_LINEAR,
            "symbol": symbol,
            "tpslMode": "Full",
            "positionIdx": position_idx,
            "stopLoss": plain(stop_loss),
            "slTriggerBy": "MarkPrice",
        }
        self._write(calls.TRADING_STOP, params, Lane.PROTECT)

    def amend_stop(self, *, symbol: str, order_link_id: str, stop_loss: Decimal) -> None:
        params = {**_LINEAR, "symbol": symbol, "orderLinkId": order_link_id, "stopLoss": plain(stop_loss)}
        self._write(calls.AMEND, {**params, "slTriggerBy": "MarkPrice"}, Lane.PROTECT)

    def set_leverage(self, *, symbol: str, leverage: Decimal) -> None:
        text = plain(leverage)
        params = {**_LINEAR, "symbol": symbol, "buyLeverage": text, "sellLeverage": text}
        self._write(calls.SET_LEVERAGE, params, Lane.ENTRY)

    def set_hedge_mode(self, *, enabled: bool) -> None:
        self._write(calls.SWITCH_MODE, {**_LINEAR, "coin": "USDT", "mode": 3 if enabled else 0}, Lane.ENTRY)

    def order(self, *, symbol: str, order_link_id: str) -> VenueOrder | None:
        params = {**_LINEAR, "symbol": symbol, "orderLinkId": order_link_id}
        for call in (calls.REALTIME, calls.HISTORY):
            found = [
                order for order in orders_of_reply(self._read(call, params)) if order.order_link_id == order_link_id
            ]
            if found:
                return max(found, key=lambda order: order.updated_ms)
        return None

    def open_orders(self) -> list[VenueOrder]:
        params = {**_USDT, "openOnly": 0, "limit": 50}
        found = {
            order.order_id: order
            for reply in self._pages(calls.REALTIME, params)
            for order in orders_of_reply(reply)
            if order.is_open
        }
        return sorted(found.values(), key=lambda order: order.created_ms)

    def executions(self, *, start_ms: int, end_ms: int, symbol: str | None = None) -> list[Execution]:
        scope = {**_LINEAR, "symbol": symbol} if symbol else _USDT
        found: dict[str, Execution] = {}
        for first_ms, last_ms in weeks(start_ms, end_ms):
            found.update(self._executions({**scope, "startTime": first_ms, "endTime": last_ms}))
        return sorted(found.values(), key=lambda execution: (execution.time_ms, execution.seq))

    def executions_of(self, *, symbol: str, order_link_id: str) -> list[Execution]:
        found = self._executions({**_LINEAR, "symbol": symbol, "orderLinkId": order_link_id})
        own = (execution for execution in found.values() if execution.order_link_id == order_link_id)
        return sorted(own, key=lambda execution: (execution.time_ms, execution.seq))

    def positions(self) -> list[VenuePosition]:
        replies = self._pages(calls.POSITIONS, {**_USDT, "limit": 200})
        return [position for reply in replies for position in positions_of_reply(reply) if position.size > 0]

    def position(self, symbol: str) -> list[VenuePosition]:
        return positions_of_reply(self._read(calls.POSITIONS, {**_LINEAR, "symbol": symbol}))

    def wallet(self) -> Wallet:
        return wallet_of_reply(self._read(calls.WALLET, {"accountType": "UNIFIED"}))

    def fee_rates(self, symbol: str) -> FeeRates:
        rates = fee_rates_of_reply(self._read(calls.FEE_RATE, {**_LINEAR, "symbol": symbol}), symbol)
        if rates is None:
            raise Rejected(f"no fee rates for {symbol}", code="unknown_symbol", symbol=symbol)
        return rates

    def ledger(self, *, start_ms: int, end_ms: int) -> list[LedgerRow]:
        """Oldest first, all pages; every kind of row that moved USDT."""
        found: dict[tuple[str, str, int, Decimal], LedgerRow] = {}
        for first_ms, last_ms in weeks(start_ms, end_ms):
            params = {
                "accountType": "UNIFIED",
                "currency": "USDT",
                "startTime": first_ms,
                "endTime": last_ms,
                "limit": 50,
            }
            for row in self._newest_last(calls.TRANSACTION_LOG, params, ledger_of_reply):
                found[row.row_id, row.kind, row.time_ms, row.balance_usd] = row
        return sorted(found.values(), key=lambda row: row.time_ms)

    def key_info(self) -> KeyInfo:
        return key_info_of_reply(self._read(calls.KEY_INFO, {}))

    def _executions(self, params: dict[str, object]) -> dict[str, Execution]:
        found = self._newest_last(calls.EXECUTIONS, {**params, "limit": 100}, executions_of_reply)
        return {execution.reference: execution for execution in found}

    def _newest_last[Row](
        self, call: Call, params: dict[str, object], decode: Callable[[Reply], list[Row]]
    ) -> list[Row]:
        """All pages of a list the venue gives newest first; rows of one millisecond keep the venue's order."""
        found = [row for reply in self._pages(call, params) for row in decode(reply)]
        found.reverse()
        return found

    def _pages(self, call: Call, params: dict[str, object]) -> Iterator[Reply]:
        return pages(lambda cursor: self._read(call, {**params, "cursor": cursor} if cursor else params))

    def _read(self, call: Call, params: dict[str, object]) -> dict[str, object]:
        return self._rest.call(call, params, lane=Lane.READ, patience_s=self._read_patience_s)

    def _write(self, call: Call, params: dict[str, object], lane: Lane, *, cost: int = 1) -> dict[str, object]:
        return self._rest.call(call, params, lane=lane, patience_s=self._write_patience_s, cost=cost)


def lane_of(intent: OrderIntent) -> Lane:
    """A market close protects; a resting reduce-only order is an exit; everything else opens risk."""
    if not intent.reduce_only:
        return Lane.ENTRY
    return Lane.PROTECT if intent.order_type is OrderType.MARKET else Lane.EXIT


def _unreadable(call: Call, error: MalformedMessage) -> OutcomeUnknown:
    """The venue said yes, in words we cannot read."""
    return OutcomeUnknown(f"{call.name}: {error.message}", code="unreadable_ack", call=call.name)
