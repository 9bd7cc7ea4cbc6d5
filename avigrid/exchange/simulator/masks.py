"""Faults that falsify what queries show: hidden orders, short histories, fields taken away or added."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from avigrid.exchange.simulator.house import House
from avigrid.exchange.simulator.messages import Row, parse_object
from avigrid.exchange.simulator.routes import Route

if TYPE_CHECKING:
    from avigrid.exchange.simulator.rest import Outcome

_CREATES = ("create_order", "create_batch")
_TIMES = ("createdTime", "execTime", "transactionTime", "updatedTime")
_DAY_MS = 86_400_000


def note_created(house: House, route: Route, outcome: "Outcome", params: Row, facts: Mapping[str, object]) -> None:
    """Orders created under `order_invisible` are remembered with the time from which queries may show them."""
    if route.venue not in _CREATES or not house.faults.has("order_invisible"):
        return
    result = outcome.result
    if not isinstance(result, dict):
        return
    items = params.get("request")
    sent = items if isinstance(items, list) else [params]
    made = result.get("list", [result])
    for row, item in zip(made, sent, strict=False):
        if not row.get("orderId"):
            continue
        merged = {**facts, **item} if isinstance(item, dict) else dict(facts)
        fault = house.faults.take("order_invisible", house.now_ms, merged)
        if fault is not None:
            until_ms = house.now_ms + round(fault.number("seconds") * 1_000)
            house.hidden_orders[row["orderId"]] = (until_ms, fault.flag("executions"))


def hide_rows(house: House, route: Route, outcome: "Outcome", facts: Mapping[str, object]) -> None:
    result = outcome.result
    if not isinstance(result, dict) or not isinstance(result.get("list"), list):
        return
    rows: list[Row] = result["list"]
    now_ms = house.now_ms
    if house.hidden_orders and route.venue in ("realtime_orders", "order_history", "execution_list"):
        rows = [row for row in rows if not _is_hidden(house, row, route.venue == "execution_list")]
    if route.lists_history:
        fault = house.faults.peek("history_truncated", now_ms, facts)
        if fault is not None:
            oldest_ms = now_ms - fault.number("days") * _DAY_MS
            kept = [row for row in rows if _row_ms(row) >= oldest_ms]
            if len(kept) < len(rows):
                house.faults.strike(fault)
            rows = kept
    if rows is not result["list"]:
        outcome.result = {**result, "list": rows}


def _is_hidden(house: House, row: Row, is_execution: bool) -> bool:
    hidden = house.hidden_orders.get(row.get("orderId", ""))
    if hidden is None:
        return False
    until_ms, executions_too = hidden
    if house.now_ms >= until_ms:
        return False
    return executions_too or not is_execution


def _row_ms(row: Row) -> float:
    for name in _TIMES:
        value = row.get(name)
        if isinstance(value, str) and value.isdigit():
            return float(value)
    return float("inf")


def reshape(result: object, *, remove: str, add: str) -> object:
    """`remove`: comma-separated names; `add`: a JSON object. Applied to the rows of a list, or to the result itself."""
    gone = {name.strip() for name in remove.split(",") if name.strip()}
    extra: Row = parse_object(add) or {} if add else {}

    def changed(row: Any) -> Any:
        if not isinstance(row, dict):
            return row
        return {key: value for key, value in row.items() if key not in gone} | extra

    if isinstance(result, dict) and isinstance(result.get("list"), list):
        return {**result, "list": [changed(row) for row in result["list"]]}
    return changed(result)
