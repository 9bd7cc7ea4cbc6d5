"""How often something may happen: counted by Redis itself over a sliding window; all processes count together."""

from django.conf import settings
from redis import Redis

from avigrid.common.redis_pool import SharedPool


def take(key: str, *, limit: int, window_s: int, now_s: float) -> bool:
    """Whether one more fits; what is refused uses nothing up. Raises RedisError.

    Two numbers a key, in one round trip: the last window counts by the share of it that is still in view.
    """
    window, into_s = divmod(now_s, window_s)
    prefix = f"{settings.REDIS_PREFIX}:throttle:{key}:{window_s}"
    present, former = f"{prefix}:{int(window)}", f"{prefix}:{int(window) - 1}"
    redis = Redis(connection_pool=SharedPool.from_url(settings.REDIS_URL, **settings.REDIS_TIMEOUTS))
    with redis.pipeline(transaction=False) as both:
        both.incr(present)
        both.expire(present, 2 * window_s)
        both.get(former)
        count, _, before = both.execute()
    if count + int(before or 0) * (1 - into_s / window_s) <= limit:
        return True
    redis.decr(present)
    return False
