"""How often something may happen: counted by Redis itself over a sliding window; all processes count together."""

from django.conf import settings
from redis import Redis

from avigrid.common.redis_pool import SharedPool


def wait_s(key: str, *, limit: int, window_s: int, now_s: float) -> float:
    """Takes one and answers 0, or takes none and says how long until one fits, if nobody else comes. Raises RedisError.

    Two numbers a key, in one round trip: the last window counts by the share of it that is still in view.
    """
    window_ms = window_s * 1000
    window, into_ms = divmod(round(now_s * 1000), window_ms)
    prefix = f"{settings.REDIS_PREFIX}:throttle:{key}:{window_s}"
    present, former = f"{prefix}:{window}", f"{prefix}:{window - 1}"
    redis = Redis(connection_pool=SharedPool.from_url(settings.REDIS_URL, **settings.REDIS_TIMEOUTS))
    with redis.pipeline(transaction=False) as both:
        both.incr(present)
        both.expire(present, 2 * window_s)
        both.get(former)
        count, _, before = both.execute()
    fits_ms = _fits_at_ms(room=limit - count, before=int(before or 0), window_ms=window_ms)
    if fits_ms <= into_ms:
        return 0.0
    redis.decr(present)
    if fits_ms >= window_ms:  # what was counted here is the former window of the next
        fits_ms = window_ms + _fits_at_ms(room=limit - 1, before=count - 1, window_ms=window_ms)
    return (fits_ms - into_ms) / 1000


def _fits_at_ms(*, room: int, before: int, window_ms: int) -> int:
    """How far into a window no more than `room` of the `before` calls of the last one are in view; its end if never."""
    if room < 0:
        return window_ms
    return max(0, -(-(before - room) * window_ms // before)) if before else 0
