"""What somebody sees who failed too often."""

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render


def locked_out(
    request: HttpRequest, original_response: HttpResponse | None = None, credentials: object = None
) -> HttpResponse:
    """Called by the lockout's middleware in place of the page's own answer."""
    wait_s = int(settings.AXES_COOLOFF_TIME.total_seconds())
    if request.path_info.startswith("/api/"):
        body = {
            "type": "about:blank",
            "title": "Too many requests",
            "status": 429,
            "code": "locked_out",
            "detail": "Too many failed attempts. Wait and try again.",
        }
        response: HttpResponse = JsonResponse(body, status=429, content_type="application/problem+json")
    else:
        response = render(request, "accounts/locked_out.html", {"minutes": wait_s // 60}, status=429)
    response["Retry-After"] = str(wait_s)
    return response
