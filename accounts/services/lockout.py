"""Wrong codes and passwords, at the login and behind it: each is audited and counts towards the one lockout."""

from axes.handlers.proxy import AxesProxyHandler
from django.contrib.auth.signals import user_login_failed
from django.http import HttpRequest

from accounts.models import User
from accounts.services.audit import audit


def is_locked_out(*, request: HttpRequest, user: User) -> bool:
    """Whether this person failed too often from where the request comes from; the request is marked as refused."""
    if not AxesProxyHandler.is_allowed(request, {"email": user.email}):
        request.axes_locked_out = True  # type: ignore[attr-defined]
    return bool(getattr(request, "axes_locked_out", False))


def failure_count(*, request: HttpRequest | None, user: User, action: str, step: str) -> None:
    """`step` names what asked. A command has no request: its failures are audited, and count for nobody."""
    if request is not None:
        user_login_failed.send(sender=__name__, credentials={"email": user.email}, request=request)
    audit(actor=user, action=action, obj=user, after={"step": step})
