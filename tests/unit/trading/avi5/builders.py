"""Small plans and instruments for tests; prices and sizes are chosen so that expected values can be read off."""

from dataclasses import replace
from decimal import Decimal

from avigrid.kernel.instrument import FeeRates, Instrument
from avigrid.kernel.orders import OrderRole, OrderStatus
from trading.avi5.actions import Action, PlanStatus
from trading.avi5.config import Profile, StrategyConfig
from trading.avi5.levels import build_plan
from trading.avi5.plan import next_actions
from trading.avi5.record import record
from trading.avi5.spec import PlanSpec
from trading.avi5.state import MarketView, PlanEvent, PlanOrder, PlanState

D = Decimal


def instrument(
    *,
    tick: str = "0.1",
    step: str = "0.001",
    min_qty: str = "0.001",
    min_notional: str = "5",
    symbol: str = "BTCUSDT",
    max_market: str = "500",
) -> Instrument:
    return Instrument(
        symbol=symbol,
        base_coin=symbol.removesuffix("USDT"),
        quote_coin="USDT",
        tick_size=D(tick),
        min_price=D(tick),
        max_price=D("1999999.8"),
        qty_step=D(step),
        min_order_qty=D(min_qty),
        max_limit_qty=D("100000"),
        max_market_qty=D(max_market),
        min_notional=D(min_notional),
        max_leverage=D(100),
        funding_interval_min=480,
    )


def spec(
    direction: int = 1,
    *,
    profile: Profile = Profile.SWING,
    close: float = 1000.0,
    atr: float = 10.0,
    r_usd: str = "100",
    config: StrategyConfig | None = None,
    filters: Instrument | None = None,
) -> PlanSpec:
    """Defaults: entry 1000, d = 80; grid step 10."""
    return build_plan(
        symbol="BTCUSDT",
        direction=direction,
        close=close,
        atr=atr,
        config=config or StrategyConfig(profile=profile),
        instrument=filters or instrument(),
        fees=FeeRates(),
        r_usd=D(r_usd),
    )


def view(price: str | None = "1000", *, now_ms: int = 1_000, trend: int | None = None, **more: object) -> MarketView:
    return MarketView(now_ms=now_ms, price=None if price is None else D(price), trend=trend, **more)  # type: ignore[arg-type]


class Bench:
    """A plan on a table: step it, fill its orders by hand, look."""

    def __init__(self, plan_spec: PlanSpec, config: StrategyConfig | None = None) -> None:
        self.config = config or StrategyConfig(profile=plan_spec.profile)
        self.plan = PlanState(spec=plan_spec, status=PlanStatus.PLACING, opened_ms=0)

    def step(self, market: MarketView | None = None, *events: PlanEvent) -> list[Action]:
        market = market or view()
        actions = next_actions(self.plan, events, market, self.config)
        self.plan = record(self.plan, actions)
        again = next_actions(self.plan, events, market, self.config)
        assert again == [], f"not idempotent: {again} after {actions}"
        return actions

    def order(self, ref: str) -> PlanOrder:
        return next(order for order in self.plan.orders if order.ref == ref)

    def change(self, ref: str, **values: object) -> None:
        orders = tuple(replace(o, **values) if o.ref == ref else o for o in self.plan.orders)  # type: ignore[arg-type]
        self.plan = replace(self.plan, orders=orders)

    def fill(self, ref: str, quantity: str | None = None, price: str | None = None) -> None:
        """Fill (a part of) an order at its own or the given price; a whole fill makes it terminal."""
        order = self.order(ref)
        added = order.quantity - order.filled_qty if quantity is None else D(quantity)
        done = order.filled_qty + added
        at = D(price) if price else order.price or D(1000)
        old = (order.avg_price or D(0)) * order.filled_qty
        status = OrderStatus.FILLED if done >= order.quantity else OrderStatus.PARTIALLY_FILLED
        self.change(ref, filled_qty=done, avg_price=(old + at * added) / done, status=status)

    def end(self, ref: str, status: OrderStatus = OrderStatus.CANCELLED) -> None:
        self.change(ref, status=status)

    def live(self, role: OrderRole) -> list[str]:
        return [o.ref for o in self.plan.orders if o.role is role and o.is_live]
