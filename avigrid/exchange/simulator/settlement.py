"""Books one fill: order, position, fee, wallet, execution, transaction log, closed PnL, and what follows from them."""

from decimal import Decimal

from avigrid.exchange.simulator import protection, reducing
from avigrid.exchange.simulator.account import Account, ClosedPnl, Execution
from avigrid.exchange.simulator.core import Core
from avigrid.exchange.simulator.orders import NO_EXITS, Order
from avigrid.exchange.simulator.positions import GRAIN, Change, Position

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
        ids=core.execution_ids,
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
        balance=account.balance,
        size=position.size * market.step,
    )
    record(core, account, execution)
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
    if position.guards or market.untriggered:
        if before * position.size < 0 or not position.size:
            protection.clear(core, account, position)
        protection.resize(core, position)
    if order.exits is not NO_EXITS:
        protection.on_fill(core, order, position, steps)
    if change.closed:
        reducing.trim(core, account, position)


def record(core: Core, account: Account, execution: Execution) -> None:
    account.executions.append(execution)
    account.executions_of.setdefault(execution.order_id, []).append(execution)
    core.pending[account.name].executions.append(execution)


def _closed_pnl(
    core: Core, account: Account, order: Order, change: Change, steps: int, fee: Decimal, kind: str
) -> None:
    found = account.closed_pnl.get(order.order_id)
    if found is None:
        leverage = account.leverage_of(order.market, -order.side)
        found = ClosedPnl(core.next_execution_number(), order, leverage, core.now_ms, kind=kind)
        account.closed_pnl[order.order_id] = found
    close_fee = fee if change.closed == steps else (fee * change.closed / steps).quantize(GRAIN)
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
    market = position.market
    value = position.quantity * market.mark
    fee = value * rate * position.direction
    account.balance -= fee
    account.realised -= fee
    position.current_realised -= fee
    position.total_realised -= fee
    position.updated_ms = core.now_ms
    execution = Execution(
        number=core.next_execution_number(),
        order=None,
        market=market,
        ids=core.execution_ids,
        order_id=core.ids.uuid(),
        side=position.direction,
        price=market.mark,
        qty=position.quantity,
        value=value,
        fee=fee,
        fee_rate=rate,
        kind="Funding",
        is_maker=False,
        time_ms=core.now_ms,
        leaves=ZERO,
        closed=ZERO,
        pnl=ZERO,
        mark=market.mark,
        index=market.index,
        seq=market.next_seq(),
        balance=account.balance,
        size=position.size * market.step,
    )
    record(core, account, execution)
    core.counters["fundings"] += 1
    account.touch(market.symbol)
    account.is_wallet_dirty = True
