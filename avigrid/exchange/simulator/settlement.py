"""Books one fill: order, position, fee, wallet, execution, transaction log, closed PnL, and what follows from them."""

from decimal import Decimal

from avigrid.exchange.simulator import protection, reducing
from avigrid.exchange.simulator.account import Account, ClosedPnl, Execution, LedgerEntry
from avigrid.exchange.simulator.core import Core
from avigrid.exchange.simulator.market import Market
from avigrid.exchange.simulator.orders import SIDE_TEXT, Order
from avigrid.exchange.simulator.positions import Change, Position

ZERO = Decimal(0)


def book_fill(core: Core, order: Order, price: int, steps: int, is_maker: bool, kind: str = "Trade") -> None:
    """`steps` of the order trade at `price` ticks; the order ends here when nothing is left."""
    assert 0 < steps <= order.leaves, f"fill of {steps} on {order.leaves} left"
    account, market = order.account, order.market
    rate = account.fees.maker if is_maker else account.fees.taker
    exact = price * market.tick
    value = price * steps * market.unit
    fee = value * rate
    order.cum_qty += steps
    order.leaves -= steps
    order.cum_units += price * steps
    order.cum_fee += fee
    position = account.position(market, order.position_idx)
    before = position.size
    change = position.apply(order.side, steps, exact, fee, core.now_ms)
    position.seq = market.seq
    account.balance += change.pnl - fee
    account.realised += change.pnl - fee
    market.open_interest += abs(position.size) - abs(before)
    execution = Execution(
        number=core.next_execution_number(),
        order=order,
        market=market,
        exec_id=core.ids.uuid(),
        order_id=order.order_id,
        side=order.side,
        price=exact,
        qty=steps * market.step,
        value=value,
        fee=fee,
        fee_rate=rate,
        kind=kind,
        is_maker=is_maker,
        time_ms=core.now_ms,
        leaves=order.leaves * market.step,
        closed=change.closed * market.step,
        pnl=change.pnl,
        mark=market.mark,
        index=market.index,
        seq=market.seq,
    )
    record(core, account, execution)
    _log(account, execution, position, change)
    if change.closed:
        _closed_pnl(core, account, order, change, steps, fee, kind)
    core.counters["executions"] += 1
    if order.leaves == 0:
        core.close(order, "Filled")
    else:
        order.status = "PartiallyFilled"
        core.tell(order)
    account.touch(market.symbol)
    account.is_wallet_dirty = True
    if before * position.size < 0 or (before and not position.size):
        protection.clear(core, account, position)
    protection.on_fill(core, order, position, steps)
    protection.resize(core, position)
    if change.closed:
        reducing.trim(core, account, position)


def record(core: Core, account: Account, execution: Execution) -> None:
    account.executions.append(execution)
    core.pending[account.name].executions.append(execution)


def _log(account: Account, item: Execution, position: Position, change: Change) -> None:
    order = item.order
    account.ledger.append(
        LedgerEntry(
            number=item.number,
            row_id=f"{account.uid}_{item.market.symbol}_{item.number}",
            symbol=item.market.symbol,
            kind="LIQUIDATION" if item.kind == "BustTrade" else "TRADE",
            sub_kind="",
            side=SIDE_TEXT[item.side],
            time_ms=item.time_ms,
            qty=item.qty,
            size=position.size * item.market.step,
            price=item.price,
            fee=item.fee,
            fee_rate=item.fee_rate,
            funding=ZERO,
            cash_flow=change.pnl,
            change=change.pnl - item.fee,
            balance=account.balance,
            trade_id=item.exec_id,
            order_id=item.order_id,
            link_id=order.link_id if order else "",
        )
    )


def _closed_pnl(
    core: Core, account: Account, order: Order, change: Change, steps: int, fee: Decimal, kind: str
) -> None:
    found = account.closed_pnl.get(order.order_id)
    if found is None:
        leverage = account.leverage_of(order.market, -order.side)
        found = ClosedPnl(core.next_execution_number(), order, leverage, core.now_ms, kind=kind)
        account.closed_pnl[order.order_id] = found
    close_fee = fee * change.closed / steps
    found.closed += change.closed
    found.entry_value += change.closed_entry_value
    found.exit_value += change.exit_value
    found.pnl += change.pnl
    found.open_fee += change.open_fee
    found.close_fee += close_fee
    found.fills += 1
    found.updated_ms = core.now_ms
    order.closed_pnl += change.pnl - change.open_fee - close_fee


def book_funding(core: Core, account: Account, position: Position, rate: Decimal) -> None:
    """Charges (positive rate: longs pay) the position at the mark; a Funding execution and a SETTLEMENT row."""
    market: Market = position.market
    value = position.quantity * market.mark
    fee = value * rate * position.direction
    account.balance -= fee
    account.realised -= fee
    position.current_realised -= fee
    position.total_realised -= fee
    position.updated_ms = core.now_ms
    number = core.next_execution_number()
    execution = Execution(
        number=number,
        order=None,
        market=market,
        exec_id=core.ids.uuid(),
        order_id=core.ids.uuid(),
        side=position.direction,
        price=market.mark,
        qty=position.quantity,
        value=value,
        fee=fee,
        fee_rate=Decimal(int(rate * 1_000_000)) / 1_000_000,
        kind="Funding",
        is_maker=False,
        time_ms=core.now_ms,
        leaves=ZERO,
        closed=ZERO,
        pnl=ZERO,
        mark=market.mark,
        index=market.index,
        seq=market.next_seq(),
    )
    record(core, account, execution)
    account.ledger.append(
        LedgerEntry(
            number=number,
            row_id=f"{account.uid}_{market.symbol}_{number}",
            symbol=market.symbol,
            kind="SETTLEMENT",
            sub_kind="",
            side=SIDE_TEXT[position.direction],
            time_ms=core.now_ms,
            qty=position.quantity,
            size=position.size * market.step,
            price=market.mark,
            fee=ZERO,
            fee_rate=rate * position.direction,
            funding=-fee,
            cash_flow=ZERO,
            change=-fee,
            balance=account.balance,
            trade_id=execution.exec_id,
            order_id=f"{core.now_ms // 1000}-8-{account.uid}-{position.idx}-{position.direction}",
            link_id="",
        )
    )
    core.counters["fundings"] += 1
    account.touch(market.symbol)
    account.is_wallet_dirty = True
