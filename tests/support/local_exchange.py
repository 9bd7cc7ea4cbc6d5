"""An exchange in process on a still or drawn market, for tests of the wire without a network."""

from decimal import Decimal
from typing import Any

from avigrid.exchange.simulator.exchange import ExchangeConfig
from avigrid.exchange.simulator.inprocess import LocalExchange
from avigrid.exchange.simulator.sources.path import Line, PathSource, flat

START_MS = 1_767_576_000_000
"""2026-01-05 01:20:00 UTC."""

BTC = {"category": "linear", "symbol": "BTCUSDT"}


def local_exchange(*lines: tuple[str, Line], **config: Any) -> LocalExchange:
    """BTCUSDT standing at 60,000 unless lines are given; a generous order budget unless one is given."""
    drawn = dict(lines) or {"BTCUSDT": flat(60_000.0)}
    options = {"orders_per_s": 1_000, "balance_usdt": Decimal(10_000)} | config
    return LocalExchange(PathSource(drawn, start_ms=START_MS, seed=1), ExchangeConfig(**options))


def limit_buy(link_id: str = "", *, price: str = "59000", qty: str = "0.010") -> dict[str, str]:
    row = BTC | {"side": "Buy", "orderType": "Limit", "qty": qty, "price": price}
    return row | {"orderLinkId": link_id} if link_id else row


def market(side: str = "Buy", *, qty: str = "0.010", link_id: str = "") -> dict[str, str]:
    row = BTC | {"side": side, "orderType": "Market", "qty": qty}
    return row | {"orderLinkId": link_id} if link_id else row
