"""What the first entry of a signal cost in the market itself: paid by a placed plan, or asked for by the book."""

from dataclasses import dataclass
from decimal import Decimal

from django.db.models import F, Sum

from avigrid.kernel.money import decimal_from_float
from avigrid.kernel.orders import OrderRole
from marketdata.selectors.book_features import book_feature
from marketdata.selectors.times import to_ms
from trading.avi5.spec import PlanSpec
from trading.models import Fill, Signal

_BAND_BPS = 10
"""`depth_usd` is what lies within so much of the middle, both sides together."""


@dataclass(frozen=True, slots=True)
class Observed:
    price: Decimal
    source: str


def observed_entry(signal: Signal, spec: PlanSpec) -> Observed | None:
    """Fills where the signal was placed, else the book recorded at its bar's close; None where neither exists."""
    fills = Fill.objects.filter(
        plan__signal=signal, order__role=OrderRole.ENTRY.value, order__rung=0, order__cycle=0
    ).aggregate(value=Sum(F("price") * F("quantity")), quantity=Sum("quantity"))
    if fills["quantity"]:
        return Observed(fills["value"] / fills["quantity"], "fills")
    book = book_feature(signal.symbol, to_ms(signal.decision.bar_start))
    if book is None or book.mid <= 0:
        return None
    # Half the spread, and as far into an evenly filled band as the order reaches, on average half of that way.
    size_usd = float(spec.rungs[0].quantity) * book.mid
    into_bps = min(_BAND_BPS * size_usd / (book.depth_usd / 2), _BAND_BPS) / 2 if book.depth_usd > 0 else _BAND_BPS
    paid = book.mid * (1 + spec.direction * (book.spread_bps / 2 + into_bps) / 1e4)
    return Observed(decimal_from_float(paid), "book")
