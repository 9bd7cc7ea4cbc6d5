"""The order desk: batches with partial success, cancel-all, pre-check, and acts of others on the account."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from avigrid.exchange.simulator import account_reads, amending, conditional, placing, reckoning, telling
from avigrid.exchange.simulator import params as read
from avigrid.exchange.simulator.account import Account, Transfer
from avigrid.exchange.simulator.core import Core
from avigrid.exchange.simulator.orders import BUY, SELL, Order
from avigrid.exchange.simulator.params import Params
from avigrid.exchange.simulator.refusals import Refusal, bad_parameter
from avigrid.exchange.simulator.rows import Row
from avigrid.exchange.simulator.settlement import book_fill
from avigrid.kernel.orders import Side

BATCH_MAX = 20
_CANCEL_MAX = 500
Step = Callable[[Core, Account, Params], Order]


def ids(order: Order) -> Row:
    return {"orderId": order.order_id, "orderLinkId": order.link_id}


def batch(core: Core, account: Account, params: Params, step: Step, with_time: bool) -> tuple[Row, Row]:
    """Each item alone: the answer is 0 as a whole, failures show in retExtInfo beside an empty orderId."""
    category = read.category(params)
    items = params.get("request")
    if not isinstance(items, list) or not items:
        raise bad_parameter("request is required")
    if len(items) > BATCH_MAX:
        raise Refusal(10001, f"params error: the request exceeds the maximum of {BATCH_MAX} orders")
    results: list[Row] = []
    notes: list[Row] = []
    for item in items:
        body: dict[str, Any] = {**item, "category": category} if isinstance(item, dict) else {"category": category}
        row: Row = {
            "category": category,
            "symbol": str(body.get("symbol") or ""),
            "orderId": "",
            "orderLinkId": str(body.get("orderLinkId") or ""),
        }
        if with_time:
            row["createAt"] = ""
        try:
            order = step(core, account, body)
            telling.flush(core)
            row |= ids(order)
            if with_time:
                row["createAt"] = str(order.created_ms)
            notes.append({"code": 0, "msg": "OK"})
        except Refusal as refusal:
            notes.append({"code": refusal.code, "msg": refusal.message})
        results.append(row)
    return {"list": results}, {"list": notes}


def amend_active(core: Core, account: Account, params: Params) -> Order:
    """Batch amend does not take conditional orders."""
    if amending.find_open(account, params, "replace").status == "Untriggered":
        raise bad_parameter("conditional orders cannot be amended in a batch")
    return amending.amend(core, account, params)


def cancel_all(core: Core, account: Account, params: Params) -> Row:
    category = read.category(params)
    wanted = read.choice(params, "orderFilter", ("Order", "StopOrder", "OpenOrder", "tpslOrder"))
    stop_type = read.choice(params, "stopOrderType", ("Stop",))
    symbols = account_reads.symbol_filter(core, params, needed=True)
    gone: list[Row] = []
    if category == "linear":
        for symbol in list(account.open_orders):
            if symbols is not None and symbol not in symbols:
                continue
            for order in list(account.opens(symbol).values()):
                untriggered = order.status == "Untriggered"
                if wanted in ("Order", "OpenOrder") and untriggered:
                    continue
                if wanted in ("StopOrder", "tpslOrder") and not untriggered:
                    continue
                if stop_type and order.stop_order_type != stop_type:
                    continue
                if len(gone) < _CANCEL_MAX and order.is_open:
                    amending.cancel_one(core, order)
                    gone.append(ids(order))
    return {"list": gone, "success": "1"}


def cancel_for_dcp(core: Core, account: Account) -> int:
    count = 0
    for orders in list(account.open_orders.values()):
        for order in list(orders.values()):
            if order.is_open:
                amending.cancel_one(core, order, "CancelByDCP")
                count += 1
    return count


def pre_check(core: Core, account: Account, params: Params) -> Row:
    """Margin rates before and after, in 1/10000; nothing is placed."""
    before = reckoning.totals(account)
    order = placing.build(core, account, params)
    after = before if order.trigger_price is not None else reckoning.totals(account, order)

    def rate(part: Decimal, whole: reckoning.Totals) -> int:
        return int(part / whole.margin_balance * 10_000) if whole.margin_balance > 0 else 0

    return {
        **ids(order),
        "preImrE4": rate(before.initial, before),
        "preMmrE4": rate(before.position_mm, before),
        "postImrE4": rate(after.initial, after),
        "postMmrE4": rate(after.position_mm, after),
    }


def transfer(core: Core, account: Account, amount: Decimal) -> None:
    account.balance += amount
    account.start_balance += amount  # what was put in, as far as the balance's sums are concerned
    account.transfers.append(Transfer(len(account.transfers), core.now_ms, amount, account.balance))
    account.is_wallet_dirty = True


def foreign_position(core: Core, account: Account, symbol: str, side: Side, quantity: Decimal) -> Order:
    """A position opened elsewhere (web, phone): fills at the mark without touching the book."""
    market = core.markets[symbol]
    sign = BUY if side is Side.BUY else SELL
    hedge = account.is_hedge(symbol)
    steps = market.steps(quantity)
    order = Order(
        account=account,
        market=market,
        order_id=core.ids.uuid(),
        link_id="",
        side=sign,
        order_type="Market",
        price=market.protected_price(sign),
        qty=steps,
        leaves=steps,
        tif="IOC",
        position_idx=(1 if sign == BUY else 2) if hedge else 0,
        created_ms=core.now_ms,
        number=core.next_order_number(),
        last_on_created=market.last_price,
    )
    account.orders[order.order_id] = order
    account.history.append(order)
    account.opens(symbol)[order.order_id] = order
    market.next_seq()
    price = max(1, market.ticks(market.mark))
    core.print_trade(market, price, steps, sign)
    book_fill(core, order, price, steps, is_maker=False)
    conditional.run(core, market)
    return order
