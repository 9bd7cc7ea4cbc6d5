"""Instruments, risk tiers and fee rates."""

from collections.abc import Mapping
from decimal import Decimal

import msgspec

from avigrid.exchange.bybit.codec.fields import (
    Number,
    decimal,
    decimal_or_none,
    decimal_or_zero,
    result_of,
    rows,
    whole,
)
from avigrid.kernel.instrument import FeeRates, Instrument, RiskTier


class PriceFilter(msgspec.Struct, rename="camel"):
    min_price: Number
    max_price: Number
    tick_size: Number


class LotSizeFilter(msgspec.Struct, rename="camel"):
    min_order_qty: Number
    max_order_qty: Number
    qty_step: Number
    max_mkt_order_qty: Number = None
    min_notional_value: Number = None


class LeverageFilter(msgspec.Struct, rename="camel"):
    max_leverage: Number


class RiskParameters(msgspec.Struct, rename="camel"):
    price_limit_ratio_x: Number = None
    price_limit_ratio_y: Number = None


class InstrumentRow(msgspec.Struct, rename="camel"):
    symbol: str
    contract_type: str
    status: str
    base_coin: str
    quote_coin: str
    settle_coin: str
    price_filter: PriceFilter
    lot_size_filter: LotSizeFilter
    leverage_filter: LeverageFilter
    funding_interval: Number = 480
    price_scale: Number = "2"
    is_pre_listing: bool = False
    risk_parameters: RiskParameters | None = None


class RiskRow(msgspec.Struct, rename="camel"):
    id: int
    symbol: str
    risk_limit_value: Number
    maintenance_margin: Number
    initial_margin: Number
    max_leverage: Number
    mm_deduction: Number = None


class FeeRow(msgspec.Struct, rename="camel"):
    symbol: str
    taker_fee_rate: Number
    maker_fee_rate: Number


def instruments_of_reply(reply: Mapping[str, object]) -> list[Instrument]:
    """USDT perpetuals only; what is not listed yet does not exist for us."""
    return [
        instrument(row)
        for row in rows(result_of(reply).get("list"), InstrumentRow)
        if row.contract_type == "LinearPerpetual" and row.settle_coin == "USDT" and not row.is_pre_listing
    ]


def instrument(row: InstrumentRow) -> Instrument:
    lot, prices = row.lot_size_filter, row.price_filter
    risk = row.risk_parameters or RiskParameters()
    return Instrument(
        symbol=row.symbol,
        base_coin=row.base_coin,
        quote_coin=row.quote_coin,
        tick_size=decimal(prices.tick_size),
        min_price=decimal(prices.min_price),
        max_price=decimal(prices.max_price),
        qty_step=decimal(lot.qty_step),
        min_order_qty=decimal(lot.min_order_qty),
        max_limit_qty=decimal(lot.max_order_qty),
        max_market_qty=decimal_or_none(lot.max_mkt_order_qty) or decimal(lot.max_order_qty),
        min_notional=decimal_or_zero(lot.min_notional_value),
        max_leverage=decimal(row.leverage_filter.max_leverage),
        funding_interval_min=whole(row.funding_interval),
        price_limit_ratio_x=_ratio(risk.price_limit_ratio_x, "0.01"),
        price_limit_ratio_y=_ratio(risk.price_limit_ratio_y, "0.02"),
        status=row.status,
        price_scale=whole(row.price_scale),
    )


def risk_tiers_of_reply(reply: Mapping[str, object]) -> list[RiskTier]:
    """Smallest tier first, as fractions; a rate above 1 can only be a percentage (other contract types print those)."""
    found = sorted(
        rows(result_of(reply).get("list"), RiskRow), key=lambda row: (row.symbol, decimal(row.risk_limit_value))
    )
    return [
        RiskTier(
            symbol=row.symbol,
            tier=row.id,
            limit_usd=decimal(row.risk_limit_value),
            maintenance_margin_ratio=_fraction(row.maintenance_margin, row),
            initial_margin_ratio=_fraction(row.initial_margin, row),
            max_leverage=decimal(row.max_leverage),
            mm_deduction_usd=decimal_or_zero(row.mm_deduction),
        )
        for row in found
    ]


def fee_rates_of_reply(reply: Mapping[str, object], symbol: str) -> FeeRates | None:
    for row in rows(result_of(reply).get("list"), FeeRow):
        if row.symbol == symbol:
            return FeeRates(taker=decimal(row.taker_fee_rate), maker=decimal(row.maker_fee_rate))
    return None


def _fraction(rate: Number, row: RiskRow) -> Decimal:
    """initialMargin is about 1/maxLeverage; where it is a hundred times that, the row speaks in percent."""
    is_percent = decimal(row.initial_margin) * decimal(row.max_leverage) > 10
    return decimal(rate) / 100 if is_percent else decimal(rate)


def _ratio(value: Number, default: str) -> Decimal:
    number = decimal_or_none(value)
    return Decimal(default) if number is None else number
