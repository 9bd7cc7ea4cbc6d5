"""Between the wire and the doors: where a request comes from, whether its session still stands, and deny by default."""

import time
from collections.abc import Callable
from typing import Any

from csp.middleware import CSPMiddleware
from django.conf import settings
from django.contrib.auth import logout
from django.http import HttpRequest, HttpResponse, HttpResponseBase

from accounts.ciphers.base import CipherError
from accounts.core.addresses import client_address, forwards_unnamed
from accounts.core.context import Origin, reset_origin, set_origin
from accounts.permissions.http import action_for, cipher_away, declared_actions, refusal, too_many
from accounts.services.attempts import TooManyAttempts
from accounts.services.proxies import unnamed_proxy_note
from accounts.services.sessions import session_note, session_seen
from avigrid.common.api_errors import problem_answer

GetResponse = Callable[[HttpRequest], HttpResponse]
EPOCH_SESSION_KEY = "auth_epoch"
_SEEN_SESSION_KEY = "seen_at"
_SEEN_EVERY_S = 60


def client_ip(request: HttpRequest) -> str | None:
    return client_address(
        peer=request.META.get("REMOTE_ADDR", ""),
        forwarded_for=request.META.get("HTTP_X_FORWARDED_FOR", ""),
        trusted_proxies=settings.TRUSTED_PROXIES,
    )


class OriginMiddleware:
    """Lets audit entries and throttles know the address without passing it through every call."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        unnamed = forwards_unnamed(
            peer=request.META.get("REMOTE_ADDR", ""),
            forwarded_for=request.META.get("HTTP_X_FORWARDED_FOR", ""),
            trusted_proxies=settings.TRUSTED_PROXIES,
        )
        if unnamed is not None:
            unnamed_proxy_note(unnamed)
        token = set_origin(Origin(ip=client_ip(request), user_agent=request.headers.get("User-Agent", "")))
        try:
            return self.get_response(request)
        finally:
            reset_origin(token)


class BodyLimitMiddleware:
    """Django limits forms; this limits everything, before anybody reads it. A body must say how long it is."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        length = request.META.get("CONTENT_LENGTH") or ""
        if not length and request.headers.get("Transfer-Encoding"):
            return problem_answer(411, "length_required", "Send a Content-Length.")
        if length and (
            not (length.isascii() and length.isdigit()) or int(length) > settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        ):
            return problem_answer(413, "too_large", f"At most {settings.DATA_UPLOAD_MAX_MEMORY_SIZE} bytes.")
        return self.get_response(request)


class SessionGuardMiddleware:
    """A session opened before the person's rights changed ends here, whatever the session store still says."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        user = request.user
        if user.is_authenticated:
            if request.session.get(EPOCH_SESSION_KEY, user.auth_epoch) != user.auth_epoch:
                logout(request)
            elif request.session.session_key:
                self._note(request)
        return self.get_response(request)

    @staticmethod
    def _note(request: HttpRequest) -> None:
        key = request.session.session_key
        assert key is not None
        now_s = time.time()
        if EPOCH_SESSION_KEY in request.session:
            if now_s - request.session.get(_SEEN_SESSION_KEY, 0) > _SEEN_EVERY_S:
                request.session[_SEEN_SESSION_KEY] = now_s
                session_seen(session_key=key)
        else:
            request.session[EPOCH_SESSION_KEY] = request.user.auth_epoch  # type: ignore[union-attr]
            session_note(user=request.user, session_key=key)  # type: ignore[arg-type]


class PolicyMiddleware(CSPMiddleware):
    """The one policy, but for pages of other people's code that cannot live with it: no inline script there either."""

    def get_policy_parts(self, request: HttpRequest, response: Any, report_only: bool = False) -> Any:
        parts = super().get_policy_parts(request=request, response=response, report_only=report_only)
        for prefix, relaxed in settings.RELAXED_POLICIES.items():
            if request.path_info.startswith(prefix) and not report_only:
                parts.update = {**(parts.update or {}), **relaxed}
        return parts


class AccessMiddleware:
    """Deny by default: a page that names no action is refused, whoever asks. The API asks for itself."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_view(self, request: HttpRequest, view: Any, args: Any, kwargs: Any) -> HttpResponseBase | None:
        if _asks_for_itself(view):
            return None
        actions = declared_actions(view, request.path_info.lstrip("/"))
        action = action_for(actions, request.method or "GET") if actions else None
        if actions is None:
            return HttpResponse("This page names no permission; that is a fault of the server.", status=403)
        if action is None:
            return HttpResponse(status=405, headers={"Allow": ", ".join(sorted(actions))})
        return refusal(request, action)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """A page that needed the cipher while it is away says so, instead of failing without a word."""
        if isinstance(exception, TooManyAttempts):
            return too_many(request, exception.wait_s)
        return cipher_away(request, exception) if isinstance(exception, CipherError) else None


def _asks_for_itself(view: Any) -> bool:
    """Decorated pages and API views carry their own guard."""
    if hasattr(view, "avigrid_access"):
        return True
    cls = getattr(view, "cls", None) or getattr(view, "view_class", None)
    return bool(getattr(cls, "access", None))
