"""How often one address may try to log in or guess a code, on a page or over the API: both use up the same number."""

import math

import structlog
from django.utils import timezone
from redis import RedisError
from rest_framework.throttling import SimpleRateThrottle

from accounts.core.context import current_origin
from avigrid.common.rate_window import wait_s
from avigrid.kernel.errors import Retryable

log = structlog.get_logger(__name__)


class TooManyAttempts(Retryable):
    """`details["retry_after_s"]`: how long this address waits. The door answers 429."""

    code = "too_many_attempts"

    @property
    def wait_s(self) -> int:
        return int(str(self.details["retry_after_s"]))


def code_attempt() -> None:
    """One code more from this address. Raises TooManyAttempts where that is one too many."""
    waits = attempt_wait_s("code")
    if waits:
        raise TooManyAttempts("Too many codes were tried from this address; wait and try again.", retry_after_s=waits)


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
