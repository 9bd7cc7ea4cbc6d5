"""What somebody sees whose form brought no good token: most often a tab from before the last login."""

from urllib.parse import urlsplit

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.cache import add_never_cache_headers
from django.utils.http import url_has_allowed_host_and_scheme

from accounts.permissions.decide import Answer, decide
from accounts.permissions.http import visitor_of
from accounts.permissions.table import action_named
from avigrid.common.api_errors import problem_answer


def csrf_refused(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Django's hook (CSRF_FAILURE_VIEW). Nothing was done; for HALT one press more has to do, so its button is here.

    No other command is offered again: what another site has made up must not be confirmed by a click.
    """
    if request.path_info.startswith("/api/"):
        return problem_answer(403, "csrf_failed", "The form's token is missing or not good.")
    is_halt = request.path_info == reverse("trading:halt")
    context = {
        "is_halt": is_halt,
        "may_halt": is_halt and decide(visitor_of(request), action_named("halt")) is Answer.ALLOW,
        "is_known": request.user.is_authenticated,
        "back": _back(request),
    }
    response = render(request, "403_csrf.html", context, status=403)
    add_never_cache_headers(response)
    return response


def _back(request: HttpRequest) -> str:
    """The page it was pressed on, if it is ours."""
    came_from = urlsplit(request.headers.get("Referer", ""))
    path = f"{came_from.path}?{came_from.query}" if came_from.query else came_from.path
    ours = came_from.netloc == request.get_host()
    for target in (request.POST.get("next", ""), path if ours else ""):
        if target.startswith("/") and url_has_allowed_host_and_scheme(target, allowed_hosts=None):
            return target
    return "/"
