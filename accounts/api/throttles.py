"""How often one address and one person may call. Without Redis the doors stay open: HALT must work; the lockout of
failed logins lives in the database."""

from typing import TYPE_CHECKING

import structlog
from redis import RedisError
from rest_framework.request import Request
from rest_framework.throttling import SimpleRateThrottle

from accounts.core.context import current_origin
from accounts.selectors.people import user_role
from avigrid.common.rate_window import wait_s

if TYPE_CHECKING:  # that module reads the settings that name this one
    from rest_framework.views import APIView

log = structlog.get_logger(__name__)


class _Counter(SimpleRateThrottle):
    """Counted by Redis itself (`rate_window`) instead of the framework's list of times: calls at the same moment are
    all seen."""

    num_requests: int
    duration: int
    _wait_s = 0.0

    def allow_request(self, request: Request, view: "APIView") -> bool:
        return self.rate is None or self._may(str(self.get_cache_key(request, view)))

    def _may(self, key: str) -> bool:
        try:
            return self._count(key)
        except RedisError as error:
            log.warning("throttle_without_cache", scope=self.scope, error=type(error).__name__)
            return True

    def _count(self, key: str) -> bool:
        self._wait_s = wait_s(key, limit=self.num_requests, window_s=self.duration, now_s=self.timer())
        return not self._wait_s

    def wait(self) -> float:
        return self._wait_s


class AddressThrottle(_Counter):
    """Asked by the middleware of `address_limit`, before there is a request of the framework."""

    scope = "address"

    def may_call(self) -> bool:
        return self.rate is None or self._may(self._key())

    def get_cache_key(self, request: Request, view: "APIView") -> str:
        return self._key()

    def _key(self) -> str:
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
