"""Private rows as Bybit writes them: order, execution, position, wallet, closed PnL, transaction log."""

from decimal import ROUND_DOWN, Decimal
from typing import Any

from avigrid.exchange.simulator import margin, reckoning
from avigrid.exchange.simulator.account import Account, ClosedPnl, Execution, Transfer
from avigrid.exchange.simulator.orders import SIDE_TEXT, Order
from avigrid.exchange.simulator.positions import Position
from avigrid.exchange.simulator.reckoning import Totals
from avigrid.exchange.simulator.text import eight, four, plain

Row = dict[str, Any]
"""A JSON object on its way to the wire."""
_SIX = Decimal("0.000001")
_DEAD = frozenset({"Cancelled", "Rejected", "Deactivated"})


def _optional(value: Decimal | None, absent: str = "") -> str:
    return absent if value is None else plain(value)


def _order_common(order: Order) -> Row:
    market, exits = order.market, order.exits
    price = order.price * market.tick
    fee = plain(order.cum_fee)
    return {
        "symbol": market.symbol,
        "orderId": order.order_id,
        "orderLinkId": order.link_id,
        "blockTradeId": "",
        "side": SIDE_TEXT[order.side],
        "positionIdx": order.position_idx,
        "orderStatus": order.status,
        "cancelType": order.cancel_type,
        "rejectReason": order.reject_reason,
        "timeInForce": order.tif,
        "isLeverage": "",
        "price": plain(price),
        "qty": plain(order.qty * market.step),
        "avgPrice": eight(order.cum_units * market.tick / order.cum_qty) if order.cum_qty else "",
        "leavesQty": plain(order.leaves * market.step),
        "leavesValue": plain(order.leaves * market.step * price),
        "cumExecQty": plain(order.cum_qty * market.step),
        "cumExecValue": plain(order.cum_units * market.unit),
        "cumExecFee": fee,
        "orderType": order.order_type,
        "stopOrderType": order.stop_order_type,
        "orderIv": "",
        "triggerPrice": _optional(order.trigger_price),
        "takeProfit": _optional(exits.take_profit),
        "stopLoss": _optional(exits.stop_loss),
        "triggerBy": order.trigger_by,
        "tpTriggerBy": exits.tp_trigger_by,
        "slTriggerBy": exits.sl_trigger_by,
        "triggerDirection": order.trigger_direction,
        "placeType": "",
        "lastPriceOnCreated": plain(order.last_on_created),
        "closeOnTrigger": order.close_on_trigger,
        "reduceOnly": order.reduce_only,
        "smpGroup": 0,
        "smpType": order.smp,
        "smpOrderId": "",
        "slLimitPrice": _optional(exits.sl_limit, "0"),
        "tpLimitPrice": _optional(exits.tp_limit, "0"),
        "createType": order.create_type,
        "marketUnit": "",
        "createdTime": str(order.created_ms),
        "updatedTime": str(order.updated_ms),
        "parentOrderLinkId": order.parent_link_id,
        "slippageTolerance": order.slippage,
        "slippageToleranceType": order.slippage_type,
        "cumFeeDetail": {"USDT": fee} if order.cum_qty else {},
    }


def order_frame(order: Order) -> Row:
    row: Row = {"category": "linear", **_order_common(order)}
    row["tpslMode"] = order.exits.mode or "UNKNOWN"
    row["feeCurrency"] = ""
    row["closedPnl"] = plain(order.closed_pnl)
    return row


def order_rest(order: Order) -> Row:
    row = _order_common(order)
    row["tpslMode"] = order.exits.mode
    row["extraFees"] = ""
    row["rpiTakerAccess"] = False
    row["rpiMatchedQty"] = "0"
    if order.status in _DEAD:
        row["leavesQty"] = row["leavesValue"] = ""
    return row


def execution_rest(item: Execution) -> Row:
    order, market = item.order, item.market
    return {
        "symbol": market.symbol,
        "orderId": item.order_id,
        "orderLinkId": order.link_id if order else "",
        "side": SIDE_TEXT[item.side],
        "orderPrice": plain(order.price * market.tick) if order else "0",
        "orderQty": plain(order.qty * market.step) if order else "0",
        "leavesQty": plain(item.leaves),
        "createType": order.create_type if order else "",
        "orderType": order.order_type if order else "UNKNOWN",
        "stopOrderType": (order.stop_order_type if order else "") or "UNKNOWN",
        "execFee": plain(item.fee),
        "execId": item.exec_id,
        "execPrice": plain(item.price),
        "execQty": plain(item.qty),
        "execType": item.kind,
        "execValue": plain(item.value),
        "execTime": str(item.time_ms),
        "feeCurrency": "USDT",
        "isMaker": item.is_maker,
        "feeRate": plain(item.fee_rate if item.kind != "Funding" else item.fee_rate.quantize(_SIX, ROUND_DOWN)),
        "tradeIv": "",
        "markIv": "",
        "markPrice": plain(item.mark),
        "indexPrice": plain(item.index) if item.kind == "Funding" else "",
        "underlyingPrice": "",
        "blockTradeId": "",
        "closedSize": plain(item.closed),
        "seq": item.seq,
        "extraFees": "",
    }


def execution_frame(item: Execution) -> Row:
    row: Row = {"category": "linear", **execution_rest(item)}
    row["execPnl"] = plain(item.pnl)
    row["isLeverage"] = "0"
    row["marketUnit"] = ""
    return row


def _position_common(account: Account, position: Position, whole: Totals | None) -> Row:
    market, direction = position.market, position.direction
    tier_index, tier = reckoning.tier_of(account, market)
    leverage = account.leverage_of(market, direction or (-1 if position.idx == 2 else 1))
    row: Row = {
        "positionIdx": position.idx,
        "tradeMode": 1 if account.isolated else 0,
        "riskId": market.spec.symbol_id * 10 + tier_index + 1,
        "riskLimitValue": plain(tier.limit_usd),
        "symbol": market.symbol,
        "side": SIDE_TEXT.get(direction, ""),
        "size": plain(position.quantity),
        "sessionAvgPrice": "",
        "leverage": plain(leverage),
        "positionValue": plain(position.entry_value) if position.size else "0",
        "positionBalance": "0",
        "markPrice": plain(market.mark),
        "trailingStop": _optional(position.trailing, "0"),
        "cumRealisedPnl": eight(position.total_realised),
        "curRealisedPnl": eight(position.current_realised) if position.size else "0",
        "createdTime": str(position.created_ms or account.opened_ms),
        "updatedTime": str(position.updated_ms or account.opened_ms),
        "tpslMode": position.tpsl_mode,
        "bustPrice": "",
        "positionStatus": position.status,
        "adlRankIndicator": 2 if position.size else 0,
        "autoAddMargin": position.auto_add,
        "leverageSysUpdatedTime": "",
        "mmrSysUpdatedTime": "",
        "seq": position.seq,
        "isReduceOnly": False,
        "openTime": position.opened_ms if position.size else 0,
    }
    if position.size == 0:
        return row | {
            "positionIM": "",
            "positionMM": "",
            "positionIMByMp": "",
            "positionMMByMp": "",
            "unrealisedPnl": "0",
            "liqPrice": "0",
            "breakEvenPrice": "",
        }
    initial, maintenance = reckoning.position_margin(account, position)
    liquidation = reckoning.liquidation_price(account, position, whole)
    even = margin.break_even(
        position.quantity, position.entry_value, position.current_realised, account.fees.taker, direction
    )
    return row | {
        "positionIM": eight(initial),
        "positionMM": eight(maintenance),
        "positionIMByMp": eight(initial),
        "positionMMByMp": eight(maintenance),
        "unrealisedPnl": eight(reckoning.unrealised(position)),
        "liqPrice": eight(liquidation) if liquidation is not None else "",
        "breakEvenPrice": eight(even),
    }


def position_frame(account: Account, position: Position, whole: Totals | None = None) -> Row:
    row = _position_common(account, position, whole)
    row["entryPrice"] = eight(position.entry_price)
    row["takeProfit"] = _optional(position.take_profit, "0")
    row["stopLoss"] = _optional(position.stop_loss, "0")
    row["category"] = "linear"
    return row


def position_rest(account: Account, position: Position, whole: Totals | None = None) -> Row:
    row = _position_common(account, position, whole)
    row["avgPrice"] = eight(position.entry_price)
    row["takeProfit"] = _optional(position.take_profit)
    row["stopLoss"] = _optional(position.stop_loss)
    for greek in ("delta", "gamma", "vega", "theta"):
        row[greek] = ""
    return row


def wallet_frame(account: Account, whole: Totals, usdt_index: Decimal) -> Row:
    equity = whole.margin_balance
    im, mm = whole.initial, whole.position_mm
    base = equity + whole.order_loss
    im_rate = four(im / base) if base > 0 else "0"
    mm_rate = four(mm / base) if base > 0 else "0"

    def usd(value: Decimal) -> str:
        return eight(value * usdt_index)

    return {
        "accountIMRate": "" if account.isolated else im_rate,
        "accountMMRate": "" if account.isolated else mm_rate,
        "accountIMRateByMp": "" if account.isolated else im_rate,
        "accountMMRateByMp": "" if account.isolated else mm_rate,
        "totalEquity": usd(equity),
        "totalWalletBalance": usd(whole.wallet),
        "totalMarginBalance": "" if account.isolated else usd(equity),
        "totalAvailableBalance": "" if account.isolated else usd(max(whole.available, Decimal(0))),
        "totalPerpUPL": usd(whole.upl),
        "totalInitialMargin": "" if account.isolated else usd(im),
        "totalMaintenanceMargin": "" if account.isolated else usd(mm),
        "totalInitialMarginByMp": "" if account.isolated else usd(im),
        "totalMaintenanceMarginByMp": "" if account.isolated else usd(mm),
        "coin": [_coin(account, whole, usdt_index)],
        "accountLTV": "0",
        "accountType": "UNIFIED",
    }


def _coin(account: Account, whole: Totals, usdt_index: Decimal) -> Row:
    return {
        "coin": "USDT",
        "equity": eight(whole.margin_balance),
        "usdValue": eight(whole.margin_balance * usdt_index),
        "walletBalance": eight(whole.wallet),
        "availableToWithdraw": "",
        "availableToBorrow": "",
        "borrowAmount": "0",
        "accruedInterest": "0",
        "totalOrderIM": eight(whole.order_im),
        "totalPositionIM": eight(whole.position_im),
        "totalPositionMM": eight(whole.position_mm),
        "unrealisedPnl": eight(whole.upl),
        "cumRealisedPnl": eight(account.realised),
        "bonus": "0",
        "collateralSwitch": True,
        "marginCollateral": True,
        "locked": "0",
        "spotHedgingQty": "0",
        "spotBorrow": "0",
    }


def wallet_rest(account: Account, whole: Totals, usdt_index: Decimal) -> Row:
    row = wallet_frame(account, whole, usdt_index)
    coin = _coin(account, whole, usdt_index) | {"colRes": "0"}
    return row | {"coin": [coin]}


def closed_pnl_row(item: ClosedPnl) -> Row:
    order, market = item.order, item.order.market
    quantity = item.closed * market.step
    return {
        "symbol": market.symbol,
        "orderId": order.order_id,
        "side": SIDE_TEXT[order.side],
        "qty": plain(order.qty * market.step),
        "orderPrice": plain(order.price * market.tick),
        "orderType": order.order_type,
        "execType": item.kind,
        "closedSize": plain(quantity),
        "cumEntryValue": plain(item.entry_value),
        "avgEntryPrice": eight(item.entry_value / quantity),
        "cumExitValue": plain(item.exit_value),
        "avgExitPrice": eight(item.exit_value / quantity),
        "closedPnl": eight(item.pnl - item.open_fee - item.close_fee),
        "fillCount": str(item.fills),
        "leverage": plain(item.leverage),
        "openFee": plain(item.open_fee),
        "closeFee": plain(item.close_fee),
        "createdTime": str(item.created_ms),
        "updatedTime": str(item.updated_ms),
    }


def transfer_row(account: Account, item: Transfer) -> Row:
    """A deposit or withdrawal as a row of the transaction log."""
    nothing = ("transSubType", "tradePrice", "funding", "fee", "feeRate", "bonusChange", "tradeId", "orderId")
    return {
        **dict.fromkeys((*nothing, "symbol", "category", "orderLinkId", "extraFees"), ""),
        "id": f"{account.uid}_transfer_{item.number}",
        "side": "None",
        "transactionTime": str(item.time_ms),
        "type": "TRANSFER_IN" if item.amount > 0 else "TRANSFER_OUT",
        "qty": plain(item.amount),
        "size": "0",
        "currency": "USDT",
        "cashFlow": plain(item.amount),
        "change": plain(item.amount),
        "cashBalance": plain(item.balance),
    }


_LOG_TYPES = {"Trade": "TRADE", "Funding": "SETTLEMENT", "BustTrade": "LIQUIDATION"}


def ledger_row(account: Account, item: Execution) -> Row:
    """The execution as a row of the transaction log: change = cashFlow + funding - fee."""
    is_funding = item.kind == "Funding"
    zone = f"{item.time_ms // 1000}-8-{account.uid}-{item.market.spec.symbol_id}-{1 if item.side > 0 else 2}"
    return {
        "id": f"{account.uid}_{item.market.symbol}_{item.number}",
        "symbol": item.market.symbol,
        "category": "linear",
        "side": SIDE_TEXT[item.side],
        "transactionTime": str(item.time_ms),
        "type": _LOG_TYPES[item.kind],
        "transSubType": "",
        "qty": plain(item.qty),
        "size": plain(item.size),
        "currency": "USDT",
        "tradePrice": plain(item.price),
        "funding": plain(-item.fee) if is_funding else "",
        "fee": "0" if is_funding else plain(item.fee),
        "cashFlow": plain(item.pnl),
        "change": plain(item.pnl - item.fee),
        "cashBalance": plain(item.balance),
        "feeRate": plain(item.fee_rate * item.side if is_funding else item.fee_rate),
        "bonusChange": "",
        "tradeId": item.exec_id,
        "orderId": zone if is_funding else item.order_id,
        "orderLinkId": item.order.link_id if item.order else "",
        "extraFees": "",
    }
