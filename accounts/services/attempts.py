"""How often one address may try to log in or guess a code, on a page or over the API: both use up the same number."""

import math

import structlog
from django.utils import timezone
from redis import RedisError
from rest_framework.throttling import SimpleRateThrottle

from accounts.core.context import current_origin
from avigrid.common.rate_window import wait_s

log = structlog.get_logger(__name__)


def attempt_wait_s(scope: str) -> int:
    """0 where this address may try now; else the seconds until it may. `scope`: a rate of the API ("login", "code").

    Without Redis the door stays open; the lockout of failed logins lives in the database.
    """
    rate = SimpleRateThrottle.THROTTLE_RATES[scope]
    limit, window_s = _Rate().parse_rate(rate)
    if limit is None or window_s is None:
        return 0
    key = SimpleRateThrottle.cache_format % {"scope": scope, "ident": current_origin().ip or "unknown"}
    now_s = timezone.now().timestamp()
    try:
        return math.ceil(wait_s(key, limit=limit, window_s=window_s, now_s=now_s))
    except RedisError as error:
        log.warning("throttle_without_cache", scope=scope, error=type(error).__name__)
        return 0


class _Rate(SimpleRateThrottle):
    """Reads "10/min" as the framework does."""

    def __init__(self) -> None:
        pass
