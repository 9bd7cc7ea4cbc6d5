"""Every refusal of the API as a problem body (RFC 9457) with a stable code. Bad input is a 4xx that names the field."""

import math
from collections.abc import Mapping
from typing import Any

import structlog
from django.core.exceptions import PermissionDenied
from django.core.exceptions import ValidationError as DjangoValidationError
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseServerError, JsonResponse
from django.template.loader import render_to_string
from django.views.defaults import page_not_found
from rest_framework import exceptions, status
from rest_framework.response import Response

from avigrid.kernel.errors import AviGridError, Bug, OperatorNeeded, OutcomeUnknown, Rejected, Retryable

CONTENT_TYPE = "application/problem+json"


class Refused(exceptions.APIException):
    """A refusal with our own code; 403 unless said otherwise."""

    status_code: int = status.HTTP_403_FORBIDDEN

    def __init__(self, code: str, sentence: str, *, status_code: int | None = None) -> None:
        super().__init__(detail=sentence, code=code)
        self.problem_code = code
        if status_code is not None:
            self.status_code = status_code


def exception_handler(error: Exception, context: Mapping[str, Any]) -> Response | None:
    """Django REST Framework's hook. None (a plain 500) only for errors nobody foresaw."""
    from rest_framework.views import set_rollback  # that module reads the settings that name this one

    response = problem_of(error)
    if response is not None:
        set_rollback()
        if isinstance(error, exceptions.APIException):
            _headers(error, response)
    return response


def problem(
    *, code: str, detail: str, status_code: int, errors: Any = None, details: Mapping[str, str] | None = None
) -> Response:
    body = _body(status_code, code, detail)
    if errors:
        body["errors"] = errors
    if details:
        body["details"] = dict(details)
    return Response(body, status=status_code, content_type=CONTENT_TYPE)


def problem_answer(
    status_code: int, code: str, detail: str, *, errors: Mapping[str, list[str]] | None = None
) -> JsonResponse:
    """The same outside of the API framework: middleware, lockout."""
    body = _body(status_code, code, detail)
    if errors:
        body["errors"] = dict(errors)
    return JsonResponse(body, status=status_code, content_type=CONTENT_TYPE)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """handler404: what lies under /api/ answers in its own language."""
    if request.path_info.startswith("/api/"):
        return problem_answer(404, "not_found", "There is nothing at this address.")
    return page_not_found(request, exception)


def failed(request: HttpRequest) -> HttpResponse:
    """handler500. Its page asks no database, and nobody who is logged in."""
    if request.path_info.startswith("/api/"):
        return problem_answer(500, "server_error", "This is a fault of ours; it was logged under the request id.")
    return HttpResponseServerError(render_to_string("500.html", {"request_id": _request_id()}))


def _body(status_code: int, code: str, detail: str) -> dict[str, Any]:
    return {
        "type": "about:blank",
        "title": TITLES.get(status_code, "Error"),
        "status": status_code,
        "code": code,
        "detail": detail,
        "request_id": _request_id(),
    }


def _request_id() -> str:
    return str(structlog.contextvars.get_contextvars().get("request_id", ""))


TITLES = {
    400: "Bad request",
    401: "Not authenticated",
    403: "Refused",
    404: "Not found",
    405: "Method not allowed",
    406: "Not acceptable",
    409: "Conflict",
    411: "Length required",
    413: "Too large",
    415: "Unsupported media type",
    422: "Refused by a rule",
    429: "Too many requests",
    500: "Server error",
    502: "The exchange did not answer clearly",
    503: "Not available now",
}


def problem_of(error: Exception) -> Response | None:
    if isinstance(error, Http404):
        return problem(code="not_found", detail="There is no such object.", status_code=404)
    if isinstance(error, PermissionDenied):
        return problem(code="permission_denied", detail="This is not allowed.", status_code=403)
    if isinstance(error, DjangoValidationError):
        fields: Any = error.message_dict if hasattr(error, "error_dict") else {"non_field_errors": error.messages}
        return problem(code="invalid", detail="The input is not valid.", status_code=400, errors=fields)
    if isinstance(error, exceptions.ValidationError):
        fields = error.detail if isinstance(error.detail, dict) else {"non_field_errors": error.detail}
        return problem(code="invalid", detail="The input is not valid.", status_code=400, errors=fields)
    if isinstance(error, Refused):
        return problem(code=error.problem_code, detail=str(error.detail), status_code=error.status_code)
    if isinstance(error, exceptions.APIException):
        return problem(code=_code(error), detail=str(error.detail), status_code=error.status_code)
    if isinstance(error, Rejected) and "field" in error.details:
        fields = {str(error.details["field"]): [error.message]}
        return problem(code=error.code, detail=error.message, status_code=400, errors=fields)
    if isinstance(error, AviGridError) and not isinstance(error, Bug):
        return problem(
            code=error.code, detail=error.message, status_code=_status(error), details=_details(error.details)
        )
    return None


def _details(details: Mapping[str, object]) -> dict[str, str]:
    return {key: str(value) for key, value in details.items()}


def _status(error: AviGridError) -> int:
    if isinstance(error, Rejected):
        return status.HTTP_409_CONFLICT
    if isinstance(error, OutcomeUnknown):
        return status.HTTP_502_BAD_GATEWAY
    if isinstance(error, Retryable | OperatorNeeded):
        return status.HTTP_503_SERVICE_UNAVAILABLE
    return status.HTTP_422_UNPROCESSABLE_ENTITY


def _code(error: exceptions.APIException) -> str:
    codes = error.get_codes()
    return codes if isinstance(codes, str) else str(error.default_code)


def _headers(error: exceptions.APIException, response: Response) -> None:
    if getattr(error, "auth_header", None):
        response["WWW-Authenticate"] = error.auth_header  # type: ignore[attr-defined]
    if getattr(error, "wait", None):
        response["Retry-After"] = str(math.ceil(error.wait))  # type: ignore[attr-defined]
