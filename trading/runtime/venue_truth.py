"""The books against the simulated exchange's own truth (`/sim/state`), value by value. Reads both; repairs nothing."""

import json
import urllib.request
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from avigrid.kernel.money import ZERO, plain
from avigrid.kernel.orders import execution_reference
from trading.models import LIVE_STATUSES, OPEN_PLAN_STATUSES, Fill, LedgerEntry, LedgerKind, Order, Plan, Position

_VALUE_DIGITS = 8
"""The venue shows entry values with twelve digits, the books keep eighteen: after a division the tails differ."""


@dataclass(frozen=True, slots=True)
class Difference:
    """`venue` and `books` are what each says of `subject`; "" where it says nothing."""

    subject: str
    venue: str
    books: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """`counts`: how many values of each kind were compared."""

    differences: tuple[Difference, ...]
    counts: dict[str, int]

    @property
    def is_equal(self) -> bool:
        return not self.differences


def venue_state(base_url: str) -> dict[str, Any]:
    with urllib.request.urlopen(f"{base_url}/sim/state", timeout=30) as answer:  # noqa: S310 - loopback
        state: dict[str, Any] = json.load(answer)
        return state


def compare(account_id: int, state: dict[str, Any]) -> Comparison:
    pairs = {
        "positions": (_venue_positions(state), _book_positions(account_id)),
        "stops": (_venue_stops(state), _book_stops(account_id)),
        "open_orders": (_venue_orders(state), _book_orders(account_id)),
        "executions": (_venue_executions(state, "Trade"), _book_fills(account_id)),
        "funding": (_venue_funding(state), _book_funding(account_id)),
    }
    differences = [
        Difference(f"{kind}:{subject}", venue.get(subject, ""), books.get(subject, ""))
        for kind, (venue, books) in pairs.items()
        for subject in sorted(venue.keys() | books.keys())
        if venue.get(subject) != books.get(subject)
    ]
    counts = {kind: len(venue.keys() | books.keys()) for kind, (venue, books) in pairs.items()}
    return Comparison(tuple(differences), counts)


def _text(*values: object) -> str:
    return " ".join(plain(value) if isinstance(value, Decimal) else str(value) for value in values)


def _venue_positions(state: dict[str, Any]) -> dict[str, str]:
    found = {}
    for row in state["positions"]:
        size = Decimal(row["size"] or 0)
        if size:
            sign = 1 if row["side"] == "Buy" else -1
            found[f"{row['symbol']}/{row['positionIdx']}"] = _text(
                size * sign, round(Decimal(row["positionValue"]), _VALUE_DIGITS)
            )
    return found


def _book_positions(account_id: int) -> dict[str, str]:
    rows = Position.objects.filter(account=account_id).exclude(size=0)
    return {
        f"{row.symbol}/{row.position_idx}": _text(row.size, round(abs(row.entry_value_usd), _VALUE_DIGITS))
        for row in rows
    }


def _venue_stops(state: dict[str, Any]) -> dict[str, str]:
    return {
        f"{row['symbol']}/{row['positionIdx']}": _text(Decimal(row["stopLoss"]))
        for row in state["positions"]
        if Decimal(row["size"] or 0) and Decimal(row["stopLoss"] or 0)
    }


def _book_stops(account_id: int) -> dict[str, str]:
    held = set(_book_positions(account_id))
    plans = Plan.objects.filter(account=account_id, status__in=OPEN_PLAN_STATUSES, stop_confirmed__isnull=False)
    return {
        f"{plan.symbol}/{plan.position_idx}": _text(plan.stop_confirmed)
        for plan in plans
        if f"{plan.symbol}/{plan.position_idx}" in held
    }


def _venue_orders(state: dict[str, Any]) -> dict[str, str]:
    """Without the position's own stop orders: those are compared as stops."""
    return {
        row["orderLinkId"] or row["orderId"]: _text(
            row["symbol"], row["side"], Decimal(row["qty"]), Decimal(row["price"] or 0), Decimal(row["cumExecQty"] or 0)
        )
        for row in state["orders"]["open"]
        if not row["stopOrderType"]
    }


def _book_orders(account_id: int) -> dict[str, str]:
    rows = Order.objects.filter(account=account_id, status__in=LIVE_STATUSES)
    return {
        row.order_link_id: _text(row.symbol, row.side, row.quantity, row.price or ZERO, row.filled_qty) for row in rows
    }


def _venue_executions(state: dict[str, Any], kind: str) -> dict[str, str]:
    return {
        execution_reference(row["execId"], row["orderId"]): _text(
            row["symbol"], row["side"], Decimal(row["execQty"]), Decimal(row["execPrice"]), Decimal(row["execFee"])
        )
        for row in state["executions"]
        if row["execType"] == kind
    }


def _book_fills(account_id: int) -> dict[str, str]:
    rows = Fill.objects.filter(account=account_id)
    return {row.reference: _text(row.symbol, row.side, row.quantity, row.price, row.fee_usd) for row in rows}


def _venue_funding(state: dict[str, Any]) -> dict[str, str]:
    """Received is positive in the books, paid is positive at the venue."""
    return {
        execution_reference(row["execId"], row["orderId"]): _text(-Decimal(row["execFee"]))
        for row in state["executions"]
        if row["execType"] == "Funding"
    }


def _book_funding(account_id: int) -> dict[str, str]:
    rows = LedgerEntry.objects.filter(account=account_id, kind=LedgerKind.FUNDING)
    return {row.reference: _text(row.change_usd) for row in rows}
