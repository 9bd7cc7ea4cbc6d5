"""All watched symbols at a glance, and the parts of one symbol's page that live."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count

from marketdata.selectors import instruments
from marketdata.selectors.book_tops import BookTop, FormingBar, newest_book_top
from marketdata.selectors.closes import recent_closes
from marketdata.selectors.prices import Quote, quotes
from trading.models import OPEN_PLAN_STATUSES, Decision, Plan

DAY_BARS = 288
SPARK_POINTS = 72
_WIDTH, _HEIGHT = 120.0, 28.0


@dataclass(frozen=True, slots=True)
class SymbolRow:
    symbol: str
    quote: Quote | None
    change_ratio: float | None
    """Over the last day of stored bars, or what there is of it."""
    spark: str
    """Points of an SVG polyline in a box of 120 by 28."""
    decision_status: str
    decision_failed: Sequence[str]
    decided_bar: datetime | None
    has_plan: bool
    signals: int


@dataclass(frozen=True, slots=True)
class LadderLevel:
    price: float
    size: float
    share: float
    """Of the largest level shown, 0 to 1."""


@dataclass(frozen=True, slots=True)
class BookView:
    top: BookTop
    asks: Sequence[LadderLevel]
    """Worst first, so that the best stands next to the spread."""
    bids: Sequence[LadderLevel]

    @property
    def digits(self) -> int:
        """After the point, so that all prices shown stand under each other."""
        texts = [repr(level.price).partition(".")[2] for level in (*self.asks, *self.bids)]
        return max((len(text) for text in texts if text != "0"), default=0)

    @property
    def lean(self) -> float:
        """Where the best level pulls the price: microprice less mid."""
        return self.top.microprice - self.top.mid


def symbol_rows() -> list[SymbolRow]:
    symbols = watched()
    closes = recent_closes(symbols, 5, DAY_BARS)
    prices = quotes(symbols)
    newest = Decision.objects.filter(symbol__in=symbols).order_by("symbol", "-bar_start").distinct("symbol")
    decisions = {row.symbol: row for row in newest}
    held = set(Plan.objects.filter(status__in=OPEN_PLAN_STATUSES).values_list("symbol", flat=True))
    offers = dict(
        Decision.objects.filter(symbol__in=symbols, signals__status="new")
        .order_by()
        .values_list("symbol")
        .annotate(count=Count("signals"))
    )
    return [
        _row(symbol, closes.get(symbol, []), prices.get(symbol), decisions.get(symbol), symbol in held, offers)
        for symbol in symbols
    ]


def _row(
    symbol: str, closes: list[float], quote: Quote | None, decision: Decision | None, held: bool, offers: dict[str, int]
) -> SymbolRow:
    last = quote.last if quote else (closes[-1] if closes else None)
    change = last / closes[0] - 1 if last is not None and closes and closes[0] else None
    rules = decision.rules if decision and isinstance(decision.rules, dict) else {}
    return SymbolRow(
        symbol=symbol,
        quote=quote,
        change_ratio=change,
        spark=spark_points(closes),
        decision_status=decision.status if decision else "",
        decision_failed=tuple(rules.get("failed", ())),
        decided_bar=decision.bar_start if decision else None,
        has_plan=held,
        signals=offers.get(symbol, 0),
    )


def spark_points(closes: Sequence[float]) -> str:
    """Thinned to `SPARK_POINTS`, the newest kept."""
    if len(closes) < 2:
        return ""
    step = max(1, len(closes) // SPARK_POINTS)
    kept = list(closes[::-1][::step][::-1])
    low, high = min(kept), max(kept)
    span = (high - low) or 1.0
    across = _WIDTH / max(len(kept) - 1, 1)
    return " ".join(
        f"{index * across:.1f},{1 + (_HEIGHT - 2) * (1 - (value - low) / span):.1f}" for index, value in enumerate(kept)
    )


def watched() -> list[str]:
    return sorted(instruments.whitelist())


def is_watched(symbol: str) -> bool:
    return symbol in instruments.whitelist()


def book_view(symbol: str, levels: int = 12) -> BookView | None:
    top = newest_book_top(symbol)
    if top is None:
        return None
    bids, asks = top.bids[:levels], top.asks[:levels]
    most = max([size for _, size in (*bids, *asks)], default=0.0) or 1.0
    return BookView(
        top,
        [LadderLevel(price, size, size / most) for price, size in reversed(asks)],
        [LadderLevel(price, size, size / most) for price, size in bids],
    )


def forming_bar(symbol: str) -> FormingBar | None:
    top = newest_book_top(symbol)
    return top.forming if top else None
