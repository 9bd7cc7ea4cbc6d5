"""One-time links: ask for a reset, set a password."""

from django.core.cache import cache
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.debug import sensitive_post_parameters

from accounts.core.context import current_origin
from accounts.forms.login import NewPasswordForm, ResetForm
from accounts.permissions import requires
from accounts.services.links import link_find, link_use, mail_is_configured, reset_ask
from avigrid.kernel.errors import Rejected

_RESETS_AN_HOUR = 5


@requires("login")
def reset_page(request: HttpRequest) -> HttpResponse:
    """The answer is the same for known and unknown addresses."""
    form = ResetForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        if not _may_ask_again():
            return render(request, "accounts/locked_out.html", {"minutes": 60}, status=429)
        reset_ask(email=form.cleaned_data["email"], base_url=request.build_absolute_uri("/"))
        return render(request, "accounts/reset_sent.html", {"has_mail": mail_is_configured()})
    return render(request, "accounts/reset.html", {"form": form}, status=400 if form.is_bound else 200)


@requires("login")
@sensitive_post_parameters("password", "repeat")
def link_page(request: HttpRequest, token: str) -> HttpResponse:
    link = link_find(token=token)
    if link is None:
        return render(request, "accounts/link_expired.html", status=410)
    form = NewPasswordForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            link_use(token=token, password=form.cleaned_data["password"])
        except Rejected:
            return render(request, "accounts/link_expired.html", status=410)
        except ValidationError as weak:
            form.add_error("password", weak)
        else:
            return redirect("accounts:login")
    context = {"form": form, "purpose": link.purpose, "rules": form.rules()}
    response = render(request, "accounts/link.html", context, status=400 if form.is_bound else 200)
    response["Referrer-Policy"] = "no-referrer"  # the address is the secret
    return response


def _may_ask_again() -> bool:
    """Five an hour and address; without Redis the mail server's own limits have to do."""
    key = f"reset:{current_origin().ip}"
    try:
        cache.add(key, 0, 3600)
        return cache.incr(key) <= _RESETS_AN_HOUR
    except Exception:
        return True
