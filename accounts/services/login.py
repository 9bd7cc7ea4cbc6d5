"""Logging in: password, then code. Failures of either count towards the lockout and reach the audit trail."""

from django.contrib.auth import authenticate
from django.http import HttpRequest

from accounts.models import TotpDevice, User
from accounts.selectors.people import user_by_email, user_role
from accounts.services.audit import audit
from accounts.services.lockout import failure_count, is_locked_out
from accounts.services.second_factor import code_check
from avigrid.kernel.errors import AviGridError


class LoginRefused(AviGridError):
    """Codes: `wrong_credentials`, `code_required`, `locked_out`. Never says which half was wrong."""

    code = "wrong_credentials"


def password_step(*, request: HttpRequest, email: str, password: str) -> User:
    """Raises LoginRefused. Nobody is logged in yet."""
    email = email.strip().lower()
    user = authenticate(request, email=email, password=password)
    locked_out = bool(getattr(request, "axes_locked_out", False))
    if isinstance(user, User) and not locked_out:
        return user
    known = user_by_email(email)
    audit(
        actor=known,
        action="login.failed",
        obj=known or "",
        after={"step": "credentials", "known": known is not None, "locked_out": locked_out},
    )
    _refuse_locked_out(request)
    raise LoginRefused("E-mail, password or code is not right.")


def code_step(*, request: HttpRequest, user: User, code: str) -> TotpDevice:
    """The device the code belongs to. Raises LoginRefused, CipherError where codes cannot be checked."""
    if not code.strip():
        raise LoginRefused("Enter the code of your device.", code="code_required")
    device = None if is_locked_out(request=request, user=user) else code_check(user=user, code=code)
    if device is not None:
        return device
    failure_count(request=request, user=user, action="login.failed", step="code")
    _refuse_locked_out(request)
    raise LoginRefused("E-mail, password or code is not right.")


def login_note(*, user: User, door: str, otp_used: bool) -> None:
    """The audit entry of a successful login; `door` is "web" or "api"."""
    role = user_role(user)
    after = {"door": door, "role": role.value if role else None}
    audit(actor=user, action="login", obj=user, after=after, otp_used=otp_used)


def _refuse_locked_out(request: HttpRequest) -> None:
    if getattr(request, "axes_locked_out", False):
        raise LoginRefused("Too many failed attempts. Wait and try again.", code="locked_out")
