"""The simulated exchange's control port: faults, price jumps, its own truth."""

import json
import urllib.request
from collections.abc import Mapping
from typing import Any

FAULTS: tuple[dict[str, Any], ...] = (
    {"name": "lost_ack", "match": {"path": "/v5/order/create"}, "count": 2},
    {"name": "lost_ack", "match": {"path": "/v5/position/trading-stop"}, "count": 2},
    {"name": "lost_ack", "match": {"path": "/v5/order/cancel"}, "count": 2},
    {"name": "http_error", "count": 6},
    {"name": "http_error", "params": {"executed": True}, "count": 4},
    {"name": "rate_limit", "count": 8},
    {"name": "ret_code", "params": {"code": 10016, "executed": True}, "count": 3},
    {"name": "drop_message", "match": {"topic": "order"}, "count": 4},
    {"name": "drop_message", "match": {"topic": "execution"}, "count": 4},
    {"name": "drop_message", "match": {"topic": "position"}, "count": 4},
    {"name": "duplicate_message", "count": 10},
    {"name": "delay_message", "params": {"ms": 1500}, "count": 10},
    {"name": "reorder_messages", "params": {"window": 3}, "count": 9},
    {"name": "double_filled", "count": 4},
    {"name": "order_invisible", "params": {"seconds": 4}, "for_s": 20},
    {"name": "latency", "params": {"min_ms": 50, "max_ms": 400}, "for_s": 10},
    {"name": "disconnect", "params": {"refuse_s": 2}},
    {"name": "exchange_restart", "params": {"down_s": 3}},
)


class Wire:
    def __init__(self, url: str) -> None:
        self.url = url

    def state(self) -> dict[str, Any]:
        answer = self._call("GET", "/sim/state")
        assert isinstance(answer, dict)
        return answer

    def jump(self, symbol: str, ratio: float) -> None:
        self._call("POST", "/sim/market", {"action": "price_jump", "symbol": symbol, "ratio": round(ratio, 5)})

    def fault(self, fault: Mapping[str, Any]) -> bool:
        self._call("POST", "/sim/faults", dict(fault))
        return True

    def clear(self) -> None:
        self._call("DELETE", "/sim/faults")

    def _call(self, method: str, path: str, body: object = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}{path}", data=data, method=method)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)
