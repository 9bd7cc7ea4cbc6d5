"""What lies on a symbol's chart: lines of open plans or of the newest offer, marks of signals and fills."""

import zlib
from dataclasses import dataclass
from datetime import datetime

from django.utils.translation import gettext as _

from avigrid.common.spoken import worded
from marketdata.selectors.times import to_ms
from trading.avi5.spec import PlanSpec
from trading.models import OPEN_PLAN_STATUSES, Fill, Order, Plan, Signal, SignalStatus

BAR_MS = 300_000


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that happened in a bar. `kind`: signal or fill."""

    bar_s: int
    kind: str
    direction: int
    text: str


@dataclass(frozen=True, slots=True)
class PriceLine:
    """`kind`: entry, rung, stop or take_profit; `is_live` False: only offered, or already over."""

    price: float
    kind: str
    label: str
    is_live: bool


def marks(symbol: str, account_id: int | None, since: datetime, until: datetime) -> list[Mark]:
    signals = Signal.objects.filter(
        symbol=symbol, decision__bar_start__gte=since, decision__bar_start__lt=until
    ).values_list("decision__bar_start", "direction", "status", "score")
    found = []
    for start, direction, status, score in signals:
        text = worded(status) if score is None else f"{worded(status)} {score:.2f}"
        found.append(Mark(to_ms(start) // 1000, "signal", direction, text))
    if account_id is not None:
        fills = Fill.objects.filter(
            account_id=account_id, symbol=symbol, executed_at__gte=since, executed_at__lt=until
        ).values_list("executed_at", "side", "price", "quantity", "order__role")
        for at, side, price, quantity, role in fills:
            bar_s = to_ms(at) // BAR_MS * BAR_MS // 1000
            text = f"{worded(role or 'stop')} {_plain(quantity)} @ {_plain(price)}"
            found.append(Mark(bar_s, "fill", 1 if side == "Buy" else -1, text))
    return sorted(found, key=lambda mark: mark.bar_s)


def lines(symbol: str, account_id: int | None) -> list[PriceLine]:
    """Of the open plans; without one, of the newest offer."""
    plans = _open_plans(symbol, account_id)
    if plans:
        return [line for plan in plans for line in _plan_lines(plan)]
    offer = _offer(symbol)
    if offer is None:
        return []
    spec = PlanSpec.from_json(offer.spec)
    found = [
        PriceLine(float(rung.price), "rung", _("entry %(n)s") % {"n": rung.rung + 1}, False) for rung in spec.rungs
    ]
    targets = [tp.price for tp in spec.take_profits] or [r.take_profit for r in spec.rungs if r.take_profit is not None]
    found += [
        PriceLine(float(price), "take_profit", _("TP %(n)s") % {"n": n + 1}, False) for n, price in enumerate(targets)
    ]
    return [*found, PriceLine(float(spec.stop), "stop", worded("stop"), False)]


def version(symbol: str, account_id: int | None) -> str:
    """Another one whenever lines or marks would look different; the same in every language."""
    facts: list[object] = [
        (plan.pk, plan.stop_price, plan.stop_confirmed, [(o.pk, o.price, o.quantity) for o in _working(plan)])
        for plan in _open_plans(symbol, account_id)
    ]
    facts.append(Fill.objects.filter(account_id=account_id, symbol=symbol).order_by("-id").values_list("id").first())
    facts.append(Signal.objects.filter(symbol=symbol).order_by("-id").values_list("id", "status").first())
    return f"{zlib.crc32(repr(facts).encode()):08x}"


def _open_plans(symbol: str, account_id: int | None) -> list[Plan]:
    return list(Plan.objects.filter(account_id=account_id, symbol=symbol, status__in=OPEN_PLAN_STATUSES).order_by("id"))


def _working(plan: Plan) -> list[Order]:
    return list(Order.objects.filter(plan=plan, is_reserved=True).exclude(price=None).order_by("role", "rung", "id"))


def _offer(symbol: str) -> Signal | None:
    return Signal.objects.filter(symbol=symbol, status__in=(SignalStatus.NEW, SignalStatus.QUEUED)).first()


def _plan_lines(plan: Plan) -> list[PriceLine]:
    found = []
    if plan.stop_price is not None:
        label = worded("stop") if plan.stop_confirmed == plan.stop_price else _("stop (on its way)")
        found.append(PriceLine(float(plan.stop_price), "stop", label, True))
    for order in _working(plan):
        kind = {"entry": "rung", "take_profit": "take_profit"}.get(order.role, "entry")
        label = f"{_order_name(order)} · {_plain(order.quantity)}"
        found.append(PriceLine(float(order.price or 0), kind, label, True))
    return found


def _order_name(order: Order) -> str:
    number = {"n": order.rung + 1}
    if order.role == "entry":
        return _("entry %(n)s") % number
    if order.role == "take_profit":
        return _("TP %(n)s") % number
    return f"{worded(order.role)} {order.rung + 1}"


def _plain(value: object) -> str:
    return f"{float(str(value)):.10g}"
