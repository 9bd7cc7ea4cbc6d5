"""One's own account: device, recovery codes, sessions, password."""

import io
from uuid import UUID

import segno
from django.conf import settings
from django.contrib.auth import logout, update_session_auth_hash
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.module_loading import import_string
from django.utils.safestring import SafeString, mark_safe
from django.views.decorators.debug import sensitive_post_parameters
from django_otp import login as otp_login

from accounts.forms.login import ChangePasswordForm, CodeForm, PresentCodeForm
from accounts.models import User
from accounts.permissions import requires
from accounts.permissions.decide import Answer, decide
from accounts.permissions.http import note_code, visitor_of
from accounts.permissions.table import action_named
from accounts.selectors.people import confirmed_device, families_of, sessions_of
from accounts.services.links import password_change
from accounts.services.second_factor import DeviceSetUp, device_begin, device_confirm, device_pending
from accounts.services.sessions import session_end, session_note
from accounts.services.tokens import family_end
from avigrid.kernel.errors import Rejected


@requires("own.session")
@sensitive_post_parameters("code", "present_code")
def device_page(request: HttpRequest) -> HttpResponse:
    """Set up the first device, or a new one in place of the old; replacing needs a code of the old one."""
    user = _me(request)
    replaces = confirmed_device(user) is not None
    if replaces and not visitor_of(request).verified:
        logout(request)
        return redirect("accounts:login")
    if replaces and (request.method != "POST" or "present_code" in request.POST):
        return _prove_present(request, user)
    form = CodeForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            return _confirm(request, user, form.cleaned_data["code"])
        except Rejected as refused:
            form.add_error("code", refused.message)
    # the secret of a device that replaces one was shown to whoever held the old one, and is not shown again
    set_up = None if replaces else device_pending(user=user) or device_begin(user=user)
    return _device(request, form, set_up, replaces=replaces)


def _prove_present(request: HttpRequest, user: User) -> HttpResponse:
    form = PresentCodeForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            set_up = device_begin(user=user, present_code=form.cleaned_data["present_code"], request=request)
        except Rejected as refused:
            form.add_error("present_code", refused.message)
        else:
            return _device(request, CodeForm(), set_up, replaces=True)
    return render(request, "accounts/device_replace.html", {"form": form}, status=403 if form.is_bound else 200)


def _confirm(request: HttpRequest, user: User, code: str) -> HttpResponse:
    key = request.session.session_key or ""
    device, codes = device_confirm(user=user, code=code, request=request, keep_session_key=key)
    otp_login(request, device)
    note_code(request)
    request.session["auth_epoch"] = user.auth_epoch
    request.session.save()
    return render(request, "accounts/recovery_codes.html", {"codes": codes, "made_at": timezone.now()})


def _device(request: HttpRequest, form: CodeForm, set_up: DeviceSetUp | None, *, replaces: bool) -> HttpResponse:
    context = {
        "form": form,
        "secret": _grouped(set_up.secret) if set_up else "",
        "qr": qr_svg(set_up.uri) if set_up else "",
        "replaces": replaces,
    }
    return render(request, "accounts/device.html", context, status=400 if form.is_bound else 200)


@requires("own.session")
def sessions_page(request: HttpRequest) -> HttpResponse:
    """With the desk around it for whoever may see the desk."""
    user = _me(request)
    context = {
        "sessions": sessions_of(user),
        "current_key": request.session.session_key,
        "device": confirmed_device(user),
        "programs": families_of(user),
    }
    template = "accounts/sessions.html"
    if decide(visitor_of(request), action_named("desk.read")) is Answer.ALLOW:
        desk_page = import_string(settings.DESK_PAGE)
        answer: HttpResponse = desk_page(request, template, {**context, "frame": "desk_base.html"})
        return answer
    return render(request, template, {**context, "frame": "accounts/alone.html"})


@requires(POST="own.session")
def session_end_view(request: HttpRequest, session_id: int) -> HttpResponse:
    if not session_end(user=_me(request), session_id=session_id):
        return HttpResponse(status=404)
    return redirect("accounts:sessions")


@requires(POST="own.session")
def program_end_view(request: HttpRequest, family_id: UUID) -> HttpResponse:
    if not family_end(user=_me(request), family_id=family_id):
        return HttpResponse(status=404)
    return redirect("accounts:sessions")


@requires("own.session")
@sensitive_post_parameters("old", "password", "repeat")
def password_page(request: HttpRequest) -> HttpResponse:
    """Every other session and token ends; this one goes on."""
    user = _me(request)
    form = ChangePasswordForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            password_change(
                user=user,
                old=form.cleaned_data["old"],
                new=form.cleaned_data["password"],
                keep_session_key=request.session.session_key or "",
                request=request,
            )
        except Rejected as refused:
            form.add_error("old", refused.message)
        except ValidationError as weak:
            form.add_error("password", weak)
        else:
            update_session_auth_hash(request, user)
            request.session["auth_epoch"] = user.auth_epoch
            request.session.save()
            assert request.session.session_key is not None
            session_note(user=user, session_key=request.session.session_key)
            return redirect("accounts:sessions")
    context = {"form": form, "rules": form.rules()}
    return render(request, "accounts/password.html", context, status=400 if form.is_bound else 200)


def qr_svg(uri: str) -> SafeString:
    """Drawn here, so that the secret never travels to anybody's QR service."""
    out = io.BytesIO()
    segno.make(uri, error="m").save(
        out, kind="svg", border=4, xmldecl=False, svgns=True, omitsize=True, light="#fff", title="QR"
    )
    return mark_safe(out.getvalue().decode())  # noqa: S308 - made by us from a percent-encoded address


def _grouped(secret: str) -> str:
    return " ".join(secret[place : place + 4] for place in range(0, len(secret), 4))


def _me(request: HttpRequest) -> User:
    assert isinstance(request.user, User)
    return request.user
