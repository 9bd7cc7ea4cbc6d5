"""Answers about instruments: filters, risk tiers, price band."""

from decimal import Decimal
from urllib.parse import quote, unquote

from avigrid.exchange.simulator import params as read
from avigrid.exchange.simulator.core import Core
from avigrid.exchange.simulator.market_reads import market_of
from avigrid.exchange.simulator.params import Params
from avigrid.exchange.simulator.refusals import unknown_symbol
from avigrid.exchange.simulator.rows import Row
from avigrid.exchange.simulator.specs import InstrumentSpec
from avigrid.exchange.simulator.text import plain


def instrument_row(spec: InstrumentSpec) -> Row:
    cap = f"{spec.funding_cap:f}"
    return {
        "symbol": spec.symbol,
        "contractType": "LinearPerpetual",
        "status": spec.status,
        "baseCoin": spec.base_coin,
        "quoteCoin": "USDT",
        "launchTime": str(spec.launch_ms),
        "deliveryTime": "0",
        "deliveryFeeRate": "",
        "priceScale": str(spec.price_scale),
        "leverageFilter": {
            "minLeverage": "1",
            "maxLeverage": f"{spec.max_leverage:.2f}",
            "leverageStep": "0.01",
        },
        "priceFilter": {
            "minPrice": f"{spec.min_price:f}",
            "maxPrice": f"{spec.max_price:f}",
            "tickSize": f"{spec.tick_size:f}",
        },
        "lotSizeFilter": {
            "maxOrderQty": f"{spec.max_limit_qty:f}",
            "minOrderQty": f"{spec.min_qty:f}",
            "qtyStep": f"{spec.qty_step:f}",
            "postOnlyMaxOrderQty": f"{spec.max_limit_qty:f}",
            "maxMktOrderQty": f"{spec.max_market_qty:f}",
            "minNotionalValue": f"{spec.min_notional:f}",
        },
        "unifiedMarginTrade": True,
        "fundingInterval": spec.funding_interval_min,
        "settleCoin": "USDT",
        "copyTrading": "both",
        "upperFundingRate": cap,
        "lowerFundingRate": f"-{cap}",
        "isPreListing": False,
        "preListingInfo": None,
        "riskParameters": {
            "priceLimitRatioX": f"{spec.limit_ratio_x:f}",
            "priceLimitRatioY": f"{spec.limit_ratio_y:f}",
        },
        "displayName": "",
        "symbolType": "",
        "forbidUplWithdrawal": False,
        "symbolId": spec.symbol_id,
    }


def instruments_info(core: Core, params: Params) -> Row:
    category = read.category(params)
    symbol, base = read.text(params, "symbol"), read.text(params, "baseCoin")
    status, limit = read.text(params, "status", "Trading"), read.limit(params, 1, 1000, 500)
    if category == "linear" and symbol and symbol not in core.markets:
        raise unknown_symbol()
    names = sorted(core.markets) if category == "linear" else []
    found = [
        spec
        for spec in (core.markets[name].spec for name in names)
        if (not symbol or spec.symbol == symbol) and (not base or spec.base_coin == base) and spec.status == status
    ]
    start = 0
    cursor = unquote(unquote(read.text(params, "cursor")))
    if cursor:
        start = sum(spec.symbol <= cursor.rpartition("=")[2] for spec in found)
    shown = found[start : start + limit]
    following = quote(f"after={shown[-1].symbol}", safe="") if shown and start + limit < len(found) else ""
    return {"category": category, "list": [instrument_row(spec) for spec in shown], "nextPageCursor": following}


def risk_limit(core: Core, params: Params) -> Row:
    category = read.category(params)
    symbol, cursor = read.text(params, "symbol"), read.text(params, "cursor")
    if symbol and symbol not in core.markets:
        raise unknown_symbol()
    names = [symbol] if symbol else sorted(core.markets)
    start = int(cursor) if cursor.isdecimal() and len(cursor) < 8 else 0
    shown = names[start : start + 15] if category == "linear" else []
    items: list[Row] = []
    for name in shown:
        spec = core.markets[name].spec
        for place, tier in enumerate(spec.tiers):
            items.append(
                {
                    "id": spec.symbol_id * 10 + place + 1,
                    "symbol": name,
                    "riskLimitValue": plain(tier.limit_usd),
                    "maintenanceMargin": plain(tier.mmr),
                    "initialMargin": plain(tier.imr.quantize(Decimal("0.0001"))),
                    "isLowestRisk": 1 if place == 0 else 0,
                    "maxLeverage": f"{tier.max_leverage:.2f}",
                    "mmDeduction": plain(tier.mm_deduction_usd) if place else "",
                }
            )
    following = str(start + 15) if start + 15 < len(names) and category == "linear" else ""
    return {"category": category, "list": items, "nextPageCursor": following}


def price_limit(core: Core, params: Params) -> Row:
    market = market_of(core, params, "linear")
    low, high = market.band()
    return {
        "symbol": market.symbol,
        "buyLmt": market.price_text(high),
        "sellLmt": market.price_text(low),
        "ts": str(core.now_ms),
    }
