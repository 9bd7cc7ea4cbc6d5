"""A small simulated venue for tests: one or two symbols, a still book around a price, short ways to act on it."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from avigrid.exchange.simulator.feed import BookTarget, MarkTick, TapeTrade
from avigrid.exchange.simulator.refusals import Refusal
from avigrid.exchange.simulator.specs import Fees, InstrumentSpec, tiers_from_steps
from avigrid.exchange.simulator.venue import Venue, VenueConfig
from avigrid.kernel.orders import Side

D = Decimal
START_MS = 1_700_000_040_000
"""2023-11-14 22:14:00 UTC: a whole minute, 106 minutes before a funding time."""

BTC = InstrumentSpec(
    symbol="BTCUSDT",
    base_coin="BTC",
    tick_size=D("0.10"),
    qty_step=D("0.001"),
    max_limit_qty=D("1500.000"),
    max_market_qty=D("150.000"),
    tiers=tiers_from_steps((("2000000", "0.005", "100"), ("2600000", "0.0056", "90"), ("3200000", "0.0063", "80"))),
    limit_ratio_x=D("0.05"),
    limit_ratio_y=D("0.1"),
    symbol_id=1,
)
SOL = InstrumentSpec(
    symbol="SOLUSDT",
    base_coin="SOL",
    tick_size=D("0.010"),
    qty_step=D("0.1"),
    max_limit_qty=D("40000.0"),
    max_market_qty=D("8000.0"),
    max_price=D("19999.980"),
    price_scale=3,
    tiers=tiers_from_steps((("50000", "0.005", "100"), ("200000", "0.0075", "75"))),
    limit_ratio_x=D("0.05"),
    limit_ratio_y=D("0.1"),
    symbol_id=56,
)


class Floor:
    """The venue and what a test does to it. Prices and quantities as text; the market's time moves by itself."""

    def __init__(self, *, symbol: str = "BTCUSDT", price: str = "50000", fees: Fees | None = None, **config: Any):
        self.symbol = symbol
        if fees is not None:
            config["fees"] = fees
        self.venue = Venue([BTC, SOL], config=VenueConfig(**config), start_ms=START_MS, seed=7)
        self.spec = {"BTCUSDT": BTC, "SOLUSDT": SOL}[symbol]
        self.quote(price)
        self.mark(price)
        self.venue.drain_private()

    # -- the market -------------------------------------------------------------------------------------------
    def quote(self, mid: str, *, size: str = "10", levels: int = 10) -> None:
        """A book around `mid`: `levels` on each side, one tick apart, the first one tick away."""
        tick, middle = self.spec.tick_size, D(mid)
        self.book(
            bids={str(middle - tick * n): size for n in range(1, levels + 1)},
            asks={str(middle + tick * n): size for n in range(1, levels + 1)},
        )

    def book(self, bids: Mapping[str, str], asks: Mapping[str, str]) -> None:
        turn = [tuple((D(price), D(size)) for price, size in side.items()) for side in (bids, asks)]
        self.venue.apply(BookTarget(self.symbol, self.tick(), turn[0], turn[1]))

    def trade(self, side: str, price: str, qty: str) -> None:
        """Others' taker."""
        self.venue.apply(TapeTrade(self.symbol, self.tick(), D(price), D(qty), Side(side)))

    def mark(self, price: str, *, rate: str = "0.0001", index: str | None = None) -> None:
        self.venue.apply(MarkTick(self.symbol, self.tick(), D(price), D(index or price), D(rate)))

    def move(self, price: str) -> None:
        """The whole market goes to `price`: book, a trade there, mark and index."""
        self.quote(price)
        self.trade("Buy", price, str(self.spec.qty_step))
        self.mark(price)

    def tick(self) -> int:
        return self.venue.now_ms + 1

    # -- us ---------------------------------------------------------------------------------------------------
    def body(self, **params: Any) -> dict[str, Any]:
        return {"category": "linear", "symbol": self.symbol, **params}

    def limit(self, side: str, qty: str, price: str, *, account: str = "main", **params: Any) -> str:
        body = self.body(side=side, orderType="Limit", qty=qty, price=price, **params)
        return str(self.venue.create_order(body, account)["orderId"])

    def market(self, side: str, qty: str, *, account: str = "main", **params: Any) -> str:
        body = self.body(side=side, orderType="Market", qty=qty, **params)
        return str(self.venue.create_order(body, account)["orderId"])

    def stop(self, side: str, qty: str, trigger: str, direction: int, **params: Any) -> str:
        return self.market(side, qty, triggerPrice=trigger, triggerDirection=direction, **params)

    # -- what became of it --------------------------------------------------------------------------------------
    def order(self, order_id: str) -> dict[str, Any]:
        for rows in (
            self.venue.realtime_orders(self.body(orderId=order_id))["list"],
            self.venue.order_history(self.body(orderId=order_id))["list"],
        ):
            if rows:
                return rows[0]
        raise AssertionError(f"no order {order_id}")

    def status(self, order_id: str) -> str:
        return self.order(order_id)["orderStatus"]

    def opens(self) -> list[dict[str, Any]]:
        return self.venue.realtime_orders(self.body(limit="50"))["list"]

    def position(self, idx: int = 0) -> dict[str, Any]:
        rows = self.venue.position_list(self.body())["list"]
        return next(row for row in rows if row["positionIdx"] == idx)

    def signed_size(self, idx: int = 0) -> Decimal:
        row = self.position(idx)
        return D(row["size"]) * {"Buy": 1, "Sell": -1, "": 0}[row["side"]]

    def wallet(self) -> dict[str, Any]:
        return self.venue.wallet_balance({"accountType": "UNIFIED"})["list"][0]

    def balance(self) -> Decimal:
        return self.venue.account().balance

    def executions(self) -> list[dict[str, Any]]:
        """Oldest first."""
        return self.venue.execution_list(self.body(limit="100"))["list"][::-1]

    def refusal(self, call: str, **params: Any) -> Refusal:
        """The refusal of a Venue method; fails where it is not refused."""
        try:
            getattr(self.venue, call)(self.body(**params))
        except Refusal as refusal:
            return refusal
        raise AssertionError(f"{call} was not refused")
