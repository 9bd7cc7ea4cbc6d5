"""The same windows counted in Redis, for all processes together; without Redis each process counts alone, carefully."""

from collections.abc import Callable
from typing import Any, Protocol

from redis.exceptions import RedisError

from avigrid.exchange.bybit.limits import LocalWindows, Window

_RETRY_REDIS_S = 5.0
_ASK_AGAIN_S = 0.001  # the caller comes back with windows of the smaller share

# Keys come in pairs: a sorted set of grants (score = ms), a hash of {seq, until}. Redis' own clock is the only clock.
_TAKE = """
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local wait = 0
for i = 1, #KEYS / 2 do
  local grants, meta = KEYS[2 * i - 1], KEYS[2 * i]
  local limit, window, kept = tonumber(ARGV[3 * i - 2]), tonumber(ARGV[3 * i - 1]), tonumber(ARGV[3 * i])
  local blocked = tonumber(redis.call('HGET', meta, 'until') or '0')
  if blocked > now then wait = math.max(wait, blocked - now) end
  redis.call('ZREMRANGEBYSCORE', grants, '-inf', now - window)
  local used = redis.call('ZCARD', grants)
  local missing = used + 1 - (limit - kept)
  if missing > 0 then
    local at = math.min(missing, used) - 1
    local oldest = redis.call('ZRANGE', grants, at, at, 'WITHSCORES')
    wait = math.max(wait, tonumber(oldest[2] or now) + window - now + 1)
  end
end
if wait > 0 then return wait end
for i = 1, #KEYS / 2 do
  local grants, meta = KEYS[2 * i - 1], KEYS[2 * i]
  redis.call('ZADD', grants, now, redis.call('HINCRBY', meta, 'seq', 1))
  redis.call('PEXPIRE', grants, 2 * tonumber(ARGV[3 * i - 1]))
  redis.call('EXPIRE', meta, 3600)
end
return 0
"""
_FILL = """
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - tonumber(ARGV[1]))
for _ = redis.call('ZCARD', KEYS[1]) + 1, tonumber(ARGV[2]) do
  redis.call('ZADD', KEYS[1], now, redis.call('HINCRBY', KEYS[2], 'seq', 1))
end
redis.call('PEXPIRE', KEYS[1], 2 * tonumber(ARGV[1]))
redis.call('EXPIRE', KEYS[2], 3600)
return 0
"""
_BLOCK = """
local t = redis.call('TIME')
local till = t[1] * 1000 + math.floor(t[2] / 1000) + tonumber(ARGV[1])
if till > tonumber(redis.call('HGET', KEYS[1], 'until') or '0') then redis.call('HSET', KEYS[1], 'until', till) end
redis.call('EXPIRE', KEYS[1], 3600)
return 0
"""


class Script(Protocol):
    def __call__(self, keys: list[str], args: list[int]) -> Any: ...


class RedisClient(Protocol):
    """The one method used of `redis.Redis`. Give it short socket timeouts: budgets stand in the order path."""

    def register_script(self, script: str) -> Any: ...


class SharedWindows:
    """Redis while it answers, this process alone while it does not; every few seconds Redis is tried again."""

    def __init__(
        self,
        client: RedisClient,
        local: LocalWindows,
        *,
        monotonic: Callable[[], float],
        prefix: str = "avigrid:budget",
        share_ratio: float = 0.9,
        on_mode: Callable[[bool], None] | None = None,
    ) -> None:
        """`on_mode` hears True when counting is shared again and False when it falls back."""
        self._take_script: Script = client.register_script(_TAKE)
        self._fill_script: Script = client.register_script(_FILL)
        self._block_script: Script = client.register_script(_BLOCK)
        self._local = local
        self._monotonic = monotonic
        self._prefix = prefix
        self._shared_ratio = share_ratio
        self._on_mode = on_mode or (lambda _shared: None)
        self._retry_at_s: float | None = None
        self.fallbacks = 0

    @property
    def is_shared(self) -> bool:
        return self._retry_at_s is None

    @property
    def share_ratio(self) -> float:
        return self._shared_ratio if self._may_ask() else self._local.share_ratio

    def take(self, windows: tuple[Window, ...]) -> float:
        if not self._may_ask():
            return self._local.take(windows)
        keys = [key for window in windows for key in self._keys(window.key)]
        args = [number for window in windows for number in (window.limit, window.window_ms, window.kept)]
        wait_ms = self._ask(self._take_script, keys, args)
        if wait_ms is None:
            return _ASK_AGAIN_S
        if wait_ms == 0:
            self._local.record(windows)
        return wait_ms / 1000

    def fill(self, key: str, window_ms: int, used: int) -> None:
        self._local.fill(key, window_ms, used)
        self._ask(self._fill_script, self._keys(key), [window_ms, used])

    def block(self, key: str, seconds: float) -> None:
        self._local.block(key, seconds)
        self._ask(self._block_script, [self._keys(key)[1]], [round(seconds * 1000)])

    def _ask(self, script: Script, keys: list[str], args: list[int]) -> int | None:
        if not self._may_ask():
            return None
        try:
            answer = int(script(keys=keys, args=args))
        except (RedisError, OSError):
            self._fell_back()
            return None
        if self._retry_at_s is not None:
            self._retry_at_s = None
            self._on_mode(True)
        return answer

    def _may_ask(self) -> bool:
        return self._retry_at_s is None or self._monotonic() >= self._retry_at_s

    def _fell_back(self) -> None:
        was_shared = self._retry_at_s is None
        self._retry_at_s = self._monotonic() + _RETRY_REDIS_S
        if was_shared:
            self.fallbacks += 1
            self._on_mode(False)

    def _keys(self, key: str) -> list[str]:
        """One hash tag, so that a Redis cluster keeps all budgets on one node (the script takes several at once)."""
        return [f"{{{self._prefix}}}:{key}", f"{{{self._prefix}}}:{key}:meta"]
