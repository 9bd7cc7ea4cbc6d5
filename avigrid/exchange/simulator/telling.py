"""Turns what happened in a call into private frames: orders, executions, then positions, then the wallet."""

from avigrid.exchange.simulator import reckoning, rows
from avigrid.exchange.simulator.account import Account, PrivateEvent
from avigrid.exchange.simulator.core import Core


def flush(core: Core) -> None:
    for account in core.accounts.values():
        pending = core.pending[account.name]
        if pending.orders or pending.executions or account.dirty_symbols or account.is_wallet_dirty:
            _flush_account(core, account)


def _flush_account(core: Core, account: Account) -> None:
    pending, outbox, now = core.pending[account.name], account.outbox, core.now_ms
    orders, executions = pending.orders, pending.executions
    pending.orders, pending.executions = {}, []
    for order in orders.values():
        market = order.market
        outbox.append(PrivateEvent("order", market.symbol, now, market.seq, (rows.order_frame(order),)))
    by_symbol: dict[str, list[dict[str, object]]] = {}
    for item in executions:
        by_symbol.setdefault(item.market.symbol, []).append(rows.execution_frame(item))
    for symbol, frames in by_symbol.items():
        outbox.append(PrivateEvent("execution", symbol, now, core.markets[symbol].seq, tuple(frames)))
    whole = reckoning.totals(account)
    dirty, account.dirty_symbols = account.dirty_symbols, {}
    for symbol in dirty:
        market = core.markets[symbol]
        frames = [rows.position_frame(account, position, whole) for position in account.positions_of(market)]
        outbox.append(PrivateEvent("position", symbol, now, market.seq, tuple(frames)))
    if account.is_wallet_dirty or whole.order_im != account.told_order_im:
        account.is_wallet_dirty = False
        account.told_order_im = whole.order_im
        frame = rows.wallet_frame(account, whole, core.config.usdt_index)
        outbox.append(PrivateEvent("wallet", "", now, 0, (frame,)))
