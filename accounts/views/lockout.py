"""What somebody sees who failed too often."""

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from avigrid.common.api_errors import problem_answer


def locked_out(
    request: HttpRequest, original_response: HttpResponse | None = None, credentials: object = None
) -> HttpResponse:
    """Called by the lockout's middleware in place of the page's own answer."""
    wait_s = int(settings.AXES_COOLOFF_TIME.total_seconds())
    if request.path_info.startswith("/api/"):
        sentence = "Too many failed attempts. Wait and try again."
        response: HttpResponse = problem_answer(429, "locked_out", sentence)
    else:
        response = render(request, "accounts/locked_out.html", {"minutes": wait_s // 60}, status=429)
    response["Retry-After"] = str(wait_s)
    return response
