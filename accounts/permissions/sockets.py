"""The door of sockets: who is on the other end of an ASGI scope, by session or by bearer token."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from channels.auth import AuthMiddlewareStack
from channels.security.websocket import AllowedHostsOriginValidator
from django.contrib.auth.models import AnonymousUser
from django_otp import DEVICE_ID_SESSION_KEY
from django_otp.models import Device
from rest_framework_simplejwt.exceptions import TokenError
from rest_framework_simplejwt.tokens import AccessToken

from accounts.core.roles import Role
from accounts.models import User
from accounts.permissions.decide import Answer, Visitor, decide
from accounts.permissions.table import action_named
from accounts.selectors.people import session_lives, user_role
from accounts.services.tokens import TokenRefused, token_user

Scope = Mapping[str, Any]
Application = Callable[..., Awaitable[None]]
_NOBODY = Visitor(AnonymousUser(), verified=False)


class SocketDoor:
    """Pages come with their session and from our own origins only; programs with a token, and send no origin.

    No browser can do the latter: it always sends an Origin with a handshake, and never an Authorization header of a
    script's choice. Whoever comes that way is asked for the token alone; a cookie is not even read.
    """

    def __init__(self, inner: Application) -> None:
        self._programs = inner
        self._pages: Application = AllowedHostsOriginValidator(AuthMiddlewareStack(inner))

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        is_program = _header(scope, b"origin") is None and _bearer(scope)
        await (self._programs if is_program else self._pages)(scope, receive, send)


def socket_role(scope: Scope) -> Role | None:
    """The role of a person who may read the desk; None for everybody else."""
    if socket_answer(scope, "desk.read") is not Answer.ALLOW:
        return None
    return user_role(socket_visitor(scope).user)


def socket_answer(scope: Scope, action: str) -> Answer:
    return decide(socket_visitor(scope), action_named(action))


def socket_visitor(scope: Scope) -> Visitor:
    """Reads the database afresh: a deactivated person with an open socket is noticed by asking again."""
    token = _bearer(scope)
    if token:
        return _by_token(token)
    user = scope.get("user")
    if user is None or not user.is_authenticated:
        return _NOBODY
    fresh = User.objects.prefetch_related("groups").filter(pk=user.pk, is_active=True).first()
    session = scope.get("session")
    if fresh is None or session is None or not session_lives(session.session_key):
        return _NOBODY
    if session.get("auth_epoch", fresh.auth_epoch) != fresh.auth_epoch:
        return _NOBODY
    device_id = session.get(DEVICE_ID_SESSION_KEY)
    device = Device.from_persistent_id(device_id) if device_id else None
    return Visitor(fresh, verified=device is not None and device.user_id == fresh.pk and device.confirmed)


def _by_token(raw: str) -> Visitor:
    try:
        token = AccessToken(raw)  # type: ignore[arg-type]
        return Visitor(token_user(token), verified=bool(token.get("otp")))
    except (TokenError, TokenRefused):
        return _NOBODY


def _bearer(scope: Scope) -> str:
    """From the Authorization header only: an address with a token in it would end up in logs."""
    value = _header(scope, b"authorization") or b""
    return value[7:].decode("latin-1").strip() if value[:7].lower() == b"bearer " else ""


def _header(scope: Scope, wanted: bytes) -> bytes | None:
    return next((value for name, value in scope.get("headers", ()) if name == wanted), None)
