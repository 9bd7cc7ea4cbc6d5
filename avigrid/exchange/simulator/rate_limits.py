"""Request budgets as Bybit keeps them: one rolling second per endpoint and account, five seconds per address.

Pure: the caller passes the time of the wire (seconds), so tests and stepped runs decide what a second is.
"""

from collections import deque
from dataclasses import dataclass

IP_REQUESTS = 600
IP_WINDOW_S = 5.0

_READ = 50
_ORDER_GROUPS = ("create", "amend", "cancel", "cancel-all", "create-batch", "amend-batch", "cancel-batch", "pre-check")

LIMITS_PER_S: dict[str, int] = {
    "/v5/order/realtime": _READ,
    "/v5/order/history": _READ,
    "/v5/execution/list": _READ,
    "/v5/position/list": _READ,
    "/v5/position/closed-pnl": _READ,
    "/v5/position/symbol-info": _READ,
    "/v5/position/set-leverage": 10,
    "/v5/position/switch-mode": 10,
    "/v5/position/trading-stop": 10,
    "/v5/position/add-margin": 10,
    "/v5/position/set-auto-add-margin": 10,
    "/v5/account/wallet-balance": _READ,
    "/v5/account/info": _READ,
    "/v5/account/user-setting-config": _READ,
    "/v5/account/transaction-log": 25,
    "/v5/account/fee-rate": 5,
    "/v5/account/set-margin-mode": 5,
    "/v5/account/query-dcp-info": 5,
    "/v5/order/disconnected-cancel-all": 5,
    "/v5/user/query-api": 10,
}
DEFAULT_PER_S = 10


@dataclass(frozen=True, slots=True)
class Verdict:
    """`granted` of the units asked for; the other three are what the X-Bapi-Limit headers say."""

    granted: int
    limit: int
    remaining: int
    wait_s: float


class RateLimiter:
    """Buckets of one account. `orders_per_s` is the account's order limit (10 by default, more for VIPs)."""

    def __init__(self, orders_per_s: int = 10) -> None:
        self.orders_per_s = orders_per_s
        self.refused = 0
        self._buckets: dict[str, deque[float]] = {}
        self._addresses: dict[str, deque[float]] = {}

    def limit_of(self, path: str) -> int:
        if path.startswith("/v5/order/") and path.rsplit("/", 1)[1] in _ORDER_GROUPS:
            return self.orders_per_s
        return LIMITS_PER_S.get(path, DEFAULT_PER_S)

    def take(self, path: str, now_s: float, units: int = 1) -> Verdict:
        """Spends up to `units` of the endpoint's budget; a batch may be granted in part."""
        limit = self.limit_of(path)
        bucket = self._buckets.setdefault(path, deque())
        while bucket and now_s - bucket[0] >= 1.0:
            bucket.popleft()
        granted = max(0, min(units, limit - len(bucket)))
        bucket.extend([now_s] * granted)
        if granted < units:
            self.refused += 1
        wait_s = 0.0
        if granted < units and bucket:
            wait_s = max(0.0, bucket[0] + 1.0 - now_s)
        return Verdict(granted, limit, limit - len(bucket), wait_s)

    def admits_address(self, address: str, now_s: float) -> bool:
        """False once one address sent more than 600 requests within five seconds (HTTP 403 at Bybit)."""
        seen = self._addresses.setdefault(address, deque())
        while seen and now_s - seen[0] >= IP_WINDOW_S:
            seen.popleft()
        if len(seen) >= IP_REQUESTS:
            return False
        seen.append(now_s)
        return True
