"""How often one address and one person may call. Without Redis the doors stay open: HALT must work; the lockout of
failed logins lives in the database."""

from typing import TYPE_CHECKING

import structlog
from rest_framework.request import Request
from rest_framework.throttling import SimpleRateThrottle

from accounts.core.context import current_origin
from accounts.selectors.people import user_role

if TYPE_CHECKING:  # that module reads the settings that name this one
    from rest_framework.views import APIView

log = structlog.get_logger(__name__)


class _OpenWithoutCache(SimpleRateThrottle):
    def allow_request(self, request: Request, view: "APIView") -> bool:
        try:
            return bool(super().allow_request(request, view))
        except Exception as error:
            log.warning("throttle_without_cache", scope=self.scope, error=type(error).__name__)
            return True


class AddressThrottle(_OpenWithoutCache):
    scope = "address"

    def get_cache_key(self, request: Request, view: "APIView") -> str:
        return self.cache_format % {"scope": self.scope, "ident": current_origin().ip or "unknown"}


class RoleThrottle(_OpenWithoutCache):
    """One rate a role, counted per person."""

    scope = "viewer"

    def allow_request(self, request: Request, view: "APIView") -> bool:
        role = user_role(request.user)
        if role is None:
            return True
        self.scope = role.value
        self.rate = self.get_rate()
        self.num_requests, self.duration = self.parse_rate(self.rate)
        return super().allow_request(request, view)

    def get_cache_key(self, request: Request, view: "APIView") -> str:
        return self.cache_format % {"scope": self.scope, "ident": request.user.pk}


class LoginThrottle(AddressThrottle):
    scope = "login"


class CodeThrottle(AddressThrottle):
    scope = "code"
