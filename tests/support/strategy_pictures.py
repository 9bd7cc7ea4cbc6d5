"""The pictures of docs/strategy.md, drawn from the strategy's own code: `python -m tests.support.strategy_pictures`.

The same code gives the same bytes; a test compares them with what is in docs/images.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from decimal import Decimal
from html import escape
from pathlib import Path

import numpy as np

from avigrid.kernel.instrument import FeeRates, Instrument
from avigrid.kernel.orders import OrderRole, OrderStatus
from marketdata.indicators import batch
from trading.avi5.actions import PlanStatus
from trading.avi5.config import Profile, StrategyConfig
from trading.avi5.levels import build_plan
from trading.avi5.plan import next_actions
from trading.avi5.record import record
from trading.avi5.spec import PlanSpec
from trading.avi5.state import MarketView, PlanOrder, PlanState

IMAGES = Path(__file__).parents[2] / "docs" / "images"
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 760, 330, 16, 176, 30, 22
INK, SOFT, BLUE, GREEN, RED, AMBER = "#1f2933", "#9aa5b1", "#2563ab", "#1d7f4e", "#b42d2d", "#b7791f"
D = Decimal

SOL = Instrument(
    symbol="SOLUSDT",
    base_coin="SOL",
    quote_coin="USDT",
    tick_size=D("0.01"),
    min_price=D("0.01"),
    max_price=D(100_000),
    qty_step=D("0.1"),
    min_order_qty=D("0.1"),
    max_limit_qty=D(96_000),
    max_market_qty=D(12_000),
    min_notional=D(5),
    max_leverage=D(100),
    funding_interval_min=480,
)


def example(profile: Profile) -> tuple[PlanSpec, StrategyConfig]:
    """The worked example of the page: SOL at 150.00, ATR 0.25, one R is 20 USD."""
    config = StrategyConfig(profile=profile, rungs=3, max_cycles=1)
    spec = build_plan(
        symbol="SOLUSDT",
        direction=1,
        close=150.0,
        atr=0.25,
        config=config,
        instrument=SOL,
        fees=FeeRates(),
        r_usd=D(20),
    )
    return spec, config


class Sheet:
    """A drawing with prices up and time to the right; names of levels stand right of it."""

    def __init__(self, title: str, low: float, high: float, steps: int) -> None:
        self._title, self._low, self._high, self._steps = title, low, high, max(steps, 1)
        self._parts: list[str] = []

    def x(self, step: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * step / self._steps

    def y(self, price: float) -> float:
        return TOP + (HEIGHT - TOP - BOTTOM) * (self._high - price) / (self._high - self._low)

    def level(self, price: float, name: str, colour: str, *, dash: str = "") -> None:
        y, end = self.y(price), WIDTH - RIGHT
        style = f' stroke-dasharray="{dash}"' if dash else ""
        self._parts.append(f'<path d="M{LEFT} {y:.1f}H{end}" stroke="{colour}" stroke-width="1.2"{style}/>')
        self.name(price, name, colour)

    def name(self, price: float, name: str, colour: str) -> None:
        self._parts.append(_text(WIDTH - RIGHT + 6, self.y(price) + 4, name, colour))

    def line(self, points: Iterable[tuple[float, float]], colour: str, width: float = 1.6, dash: str = "") -> None:
        path = " ".join(f"{self.x(a):.1f},{self.y(b):.1f}" for a, b in points)
        style = f' stroke-dasharray="{dash}"' if dash else ""
        self._parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="{width}"{style}/>')

    def dot(self, step: float, price: float, colour: str, says: str) -> None:
        where = f'cx="{self.x(step):.1f}" cy="{self.y(price):.1f}" r="4.5" fill="{colour}"'
        self._parts.append(f"<circle {where}><title>{escape(says)}</title></circle>")

    def svg(self, caption: str) -> str:
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif"'
            f' font-size="12" role="img"><title>{escape(self._title)}</title>'
            f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>'
        )
        parts = [_text(LEFT, 18, self._title, INK, weight="bold"), *self._parts, _text(LEFT, HEIGHT - 6, caption, SOFT)]
        return "\n".join([head, *parts, "</svg>", ""])


def _text(x: float, y: float, text: str, colour: str, weight: str = "normal") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" fill="{colour}" font-weight="{weight}">{escape(text)}</text>'


def trigger_picture() -> str:
    """VWAP with its bands over a made-up price, and where rules 3 and 4 both pass."""
    steps, config = 120, StrategyConfig()
    at = np.arange(steps + config.vwap_bars, dtype=np.float64)
    close = 150 + 0.9 * np.sin(at / 9) + 0.5 * np.sin(at / 3.1) + at * 0.008
    high, low = close + 0.12, close - 0.12
    volume = 1 + 0.5 * np.cos(at / 5)
    vwap, sigma = batch.vwap_sigma(batch.typical_price(high, low, close), volume, config.vwap_bars)
    first = config.vwap_bars
    close, vwap, sigma = close[first:], vwap[first:], sigma[first:]
    sheet = Sheet("Rules 3 and 4: above VWAP by one sigma, by no more than three", 148.2, 154.0, steps - 1)
    for band, name, colour, dash in (
        (vwap, "VWAP of 20 bars", BLUE, ""),
        (vwap + config.trigger_sigma_x * sigma, "+1 sigma: trigger", GREEN, "5 3"),
        (vwap + config.max_sigma_x * sigma, "+3 sigma: not chasing", AMBER, "5 3"),
        (vwap - config.trigger_sigma_x * sigma, "-1 sigma: short trigger", RED, "5 3"),
    ):
        sheet.line(enumerate(band.tolist()), colour, 1.2, dash)
        sheet.name(float(band[-1]), name, colour)
    sheet.line(enumerate(close.tolist()), INK)
    for step, (price, mean, spread) in enumerate(zip(close, vwap, sigma, strict=True)):
        if mean + config.trigger_sigma_x * spread < price <= mean + config.max_sigma_x * spread:
            sheet.dot(step, float(price), GREEN, f"close {price:.2f}, VWAP {mean:.2f}, sigma {spread:.2f}")
    return sheet.svg("Dots: closes where both rules pass for a long. The other nine rules must pass as well.")


def swing_picture() -> str:
    spec, _ = example(Profile.SWING)
    sheet = Sheet("A swing: one entry, one stop, three exits", 147.0, 156.8, 10)
    sheet.level(float(spec.stop), f"stop {spec.stop}", RED)
    sheet.level(float(spec.entry), f"entry {spec.quantity} at {spec.entry}", BLUE)
    for number, target in enumerate(spec.take_profits, start=1):
        sheet.level(float(target.price), f"TP{number} {target.price:.2f}, {target.share * 100:.0f} %", GREEN)
    path = [(0, 149.4), (1, 150.0), (2.2, 149.2), (3.6, 152.1), (4.6, 151.0), (6.2, 154.2), (7.2, 152.6), (9, 156.2)]
    sheet.line(path, INK)
    sheet.line([(1, float(spec.stop)), (3.55, float(spec.stop)), (3.55, 150.18), (9, 150.18)], RED, 2.4, "6 3")
    return sheet.svg("Dashed red: the stop, moved to break-even (150.18) once the first exit has filled.")


def grid_path(spec: PlanSpec, config: StrategyConfig, prices: Sequence[float]) -> list[tuple[int, OrderRole, Decimal]]:
    """The plan stepped along the prices by the machine that trades; (step, role, price) of every fill."""
    plan = PlanState(spec=spec, status=PlanStatus.PLACING, opened_ms=0)
    fills: list[tuple[int, OrderRole, Decimal]] = []
    for step, price in enumerate(prices):
        market = MarketView(now_ms=step * 60_000, price=D(repr(price)))
        is_moving = True
        while is_moving:
            actions = next_actions(plan, [], market, config)
            plan = record(plan, actions)
            due = [order for order in plan.orders if order.is_live and _is_reached(order, market)]
            for order in due:
                at = market.price if order.price is None or _takes(order) else order.price
                assert at is not None
                plan = _with(plan, order.changed(OrderStatus.FILLED, order.quantity, at))
                fills.append((step, order.role, at))
            is_moving = bool(actions or due)
    return fills


def _takes(order: PlanOrder) -> bool:
    return order.role is OrderRole.ENTRY and order.rung == order.cycle == 0


def _is_reached(order: PlanOrder, market: MarketView) -> bool:
    """A resting order fills where the price goes through it."""
    if order.price is None or market.price is None or _takes(order):
        return True
    return market.price < order.price if order.role is OrderRole.ENTRY else market.price > order.price


def _with(plan: PlanState, changed: PlanOrder) -> PlanState:
    return replace(plan, orders=tuple(changed if order.ref == changed.ref else order for order in plan.orders))


def grid_picture() -> str:
    spec, config = example(Profile.GRID)
    prices = [150.0 - 0.42 * math.sin(step / 4.2) - 0.16 * math.sin(step / 1.7) for step in range(60)]
    sheet = Sheet("A grid: three rungs, each with its own exit one step away", 147.3, 150.75, len(prices) - 1)
    sheet.level(float(spec.stop), f"one stop for all {spec.stop}", RED)
    for rung in spec.rungs:
        sheet.level(float(rung.price), f"rung {rung.rung}: {rung.quantity} at {rung.price}", BLUE)
    top = spec.rungs[0].take_profit
    assert top is not None
    sheet.level(float(top), f"exit of rung 0: {top}", GREEN, dash="5 3")
    sheet.line(enumerate(prices), INK)
    for step, role, price in grid_path(spec, config, prices):
        colour = BLUE if role is OrderRole.ENTRY else GREEN
        sheet.dot(step, float(price), colour, f"{'bought' if role is OrderRole.ENTRY else 'sold'} at {price}")
    return sheet.svg("Blue dots: bought. Green dots: sold one step higher. A rung that has sold is armed again.")


PICTURES = {
    "strategy_trigger.svg": trigger_picture,
    "strategy_swing.svg": swing_picture,
    "strategy_grid.svg": grid_picture,
}


def main() -> None:
    for name, draw in PICTURES.items():
        (IMAGES / name).write_text(draw())
        print(f"docs/images/{name}")


if __name__ == "__main__":
    main()
