"""Log in in two steps, log out."""

from django.conf import settings
from django.contrib.auth import login, logout
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_post_parameters
from django_otp import login as otp_login

from accounts.ciphers.base import CipherError
from accounts.forms.login import CodeForm, LoginForm
from accounts.models import TotpDevice, User
from accounts.permissions import requires
from accounts.permissions.http import UNDONE, note_code, too_many
from accounts.selectors.people import user_by_id, user_role
from accounts.services.attempts import attempt_wait_s
from accounts.services.audit import audit
from accounts.services.login import LoginRefused, code_step, login_note, password_step
from accounts.services.second_factor import has_device
from accounts.services.sessions import session_forget, session_note

_PENDING = "login_pending"
_PENDING_FOR_S = 300
_BACKEND = "django.contrib.auth.backends.ModelBackend"


@requires("login")
@sensitive_post_parameters("password")
def login_page(request: HttpRequest) -> HttpResponse:
    if request.user.is_authenticated:
        return redirect(_next(request))
    if request.method == "POST" and (wait_s := attempt_wait_s("login")):
        return too_many(request, wait_s)
    form = LoginForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            user = password_step(request=request, **form.cleaned_data)
        except LoginRefused as refused:
            form.add_error(None, refused.message)
        else:
            if has_device(user):
                request.session[_PENDING] = {"user": user.pk, "at": timezone.now().timestamp(), "next": _next(request)}
                return redirect("accounts:code")
            return _enter(request, user=user, device=None, target=_next(request))
    status = 401 if form.is_bound else 200
    context = {"form": form, "next": _next(request), "undone": UNDONE in request.GET}
    return render(request, "accounts/login.html", context, status=status)


@requires("login")
@sensitive_post_parameters("code")
def code_page(request: HttpRequest) -> HttpResponse:
    pending = request.session.get(_PENDING)
    user = _pending_user(pending)
    if pending is None or user is None:
        request.session.pop(_PENDING, None)
        return redirect("accounts:login")
    if request.method == "POST" and (wait_s := attempt_wait_s("code")):
        return too_many(request, wait_s)
    form = CodeForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            device = code_step(request=request, user=user, code=form.cleaned_data["code"])
        except LoginRefused as refused:
            form.add_error("code", refused.message)
        except CipherError as error:
            return _cipher_away(request, form, error, "accounts/code.html")
        else:
            del request.session[_PENDING]
            return _enter(request, user=user, device=device, target=pending["next"])
    return render(request, "accounts/code.html", {"form": form}, status=401 if form.is_bound else 200)


@requires("own.session")
@sensitive_post_parameters("code")
def fresh_page(request: HttpRequest) -> HttpResponse:
    """Enter a code again before a risky page."""
    user = request.user
    assert isinstance(user, User)
    if request.method == "POST" and (wait_s := attempt_wait_s("code")):
        return too_many(request, wait_s)
    form = CodeForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            code_step(request=request, user=user, code=form.cleaned_data["code"])
        except LoginRefused as refused:
            form.add_error("code", refused.message)
        except CipherError as error:
            return _cipher_away(request, form, error, "accounts/fresh.html")
        else:
            note_code(request)
            return redirect(_next(request))
    context = {"form": form, "next": _next(request)}
    return render(request, "accounts/fresh.html", context, status=403 if form.is_bound else 200)


@requires(POST="own.session")
def logout_view(request: HttpRequest) -> HttpResponse:
    key = request.session.session_key
    audit(actor=request.user, action="logout", obj=request.user, after={"door": "web"})  # type: ignore[arg-type]
    logout(request)
    if key:
        session_forget(session_key=key)
    return redirect(settings.LOGOUT_REDIRECT_URL)


def _enter(request: HttpRequest, *, user: User, device: TotpDevice | None, target: str) -> HttpResponse:
    login(request, user, backend=_BACKEND)
    if device is not None:
        otp_login(request, device)
        note_code(request)
    request.session["auth_epoch"] = user.auth_epoch
    request.session.save()
    assert request.session.session_key is not None
    session_note(user=user, session_key=request.session.session_key)
    login_note(user=user, door="web", otp_used=device is not None)
    role = user_role(user)
    if device is None and role is not None and role.needs_device:
        return redirect("accounts:device")
    return redirect(target)


def _cipher_away(request: HttpRequest, form: CodeForm, error: CipherError, template: str) -> HttpResponse:
    """The same form once more: a recovery code needs no cipher."""
    sentence = _("The vault that keeps the secrets is away (%(sentence)s): use a recovery code.")
    form.add_error("code", sentence % {"sentence": error.message})
    return render(request, template, {"form": form, "next": _next(request)}, status=503)


def _pending_user(pending: dict[str, object] | None) -> User | None:
    if not pending or timezone.now().timestamp() - float(str(pending["at"])) > _PENDING_FOR_S:
        return None
    user = user_by_id(int(str(pending["user"])))
    return user if user is not None and user.is_active else None


def _next(request: HttpRequest) -> str:
    """Only our own pages, by their path: what has no slash would be taken for a page's name."""
    target = request.POST.get("next") or request.GET.get("next") or ""
    safe = target.startswith("/") and url_has_allowed_host_and_scheme(
        target, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    )
    return target if safe and target != reverse("accounts:login") else settings.LOGIN_REDIRECT_URL
