"""How often one address and one person may call. Without Redis the doors stay open: HALT must work; the lockout of
failed logins lives in the database."""

from typing import TYPE_CHECKING

import structlog
from django.conf import settings
from redis import Redis, RedisError
from rest_framework.request import Request
from rest_framework.throttling import SimpleRateThrottle

from accounts.core.context import current_origin
from accounts.selectors.people import user_role
from avigrid.common.redis_pool import SharedPool

if TYPE_CHECKING:  # that module reads the settings that name this one
    from rest_framework.views import APIView

log = structlog.get_logger(__name__)


class _Counter(SimpleRateThrottle):
    """Two numbers a key instead of the framework's list of times: counted by Redis itself, so that calls at the same
    moment are all seen, in one round trip. The last window counts by the share of it that is still in view."""

    num_requests: int
    duration: int
    now: float

    def allow_request(self, request: Request, view: "APIView") -> bool:
        if self.rate is None:
            return True
        try:
            return self._count(str(self.get_cache_key(request, view)))
        except RedisError as error:
            log.warning("throttle_without_cache", scope=self.scope, error=type(error).__name__)
            return True

    def _count(self, key: str) -> bool:
        self.now = self.timer()
        window, into = divmod(self.now, self.duration)
        prefix = f"{settings.REDIS_PREFIX}:throttle:{key}:{self.duration}"
        present, former = f"{prefix}:{int(window)}", f"{prefix}:{int(window) - 1}"
        redis = _redis()
        with redis.pipeline(transaction=False) as both:
            both.incr(present)
            both.expire(present, 2 * self.duration)
            both.get(former)
            count, _, before = both.execute()
        if count + int(before or 0) * (1 - into / self.duration) <= self.num_requests:
            return True
        redis.decr(present)  # what was refused was no use of the limit
        return False

    def wait(self) -> float:
        """Until the window ends: by then there is room again."""
        return float(self.duration - self.now % self.duration)


def _redis() -> Redis:
    return Redis(connection_pool=SharedPool.from_url(settings.REDIS_URL, **settings.REDIS_TIMEOUTS))


class AddressThrottle(_Counter):
    scope = "address"

    def get_cache_key(self, request: Request, view: "APIView") -> str:
        return self.cache_format % {"scope": self.scope, "ident": current_origin().ip or "unknown"}


class RoleThrottle(_Counter):
    """One rate a role, counted per person."""

    scope = "viewer"

    def allow_request(self, request: Request, view: "APIView") -> bool:
        role = user_role(request.user)
        if role is None:
            return True
        self.scope = role.value
        self.rate = self.get_rate()
        self.num_requests, self.duration = self.parse_rate(self.rate)  # type: ignore[assignment]
        return super().allow_request(request, view)

    def get_cache_key(self, request: Request, view: "APIView") -> str:
        return self.cache_format % {"scope": self.scope, "ident": request.user.pk}


class LoginThrottle(AddressThrottle):
    scope = "login"


class CodeThrottle(AddressThrottle):
    scope = "code"
