"""Documented refusals, so that the schema tells a client every answer it can get."""

from typing import Any

from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse

from accounts.api.serializers import ProblemSerializer
from avigrid.common.api_errors import TITLES

_MEANINGS = {
    400: "Bad input; `errors` names the fields.",
    401: "Not logged in, or the login was ended.",
    403: "The role does not allow it, or a device or fresh code is needed (`code` says which).",
    404: "There is no such object.",
    405: "Method not allowed.",
    406: "Only JSON is spoken here.",
    409: "Refused in the present state; `code` says why.",
    415: "Only JSON is understood here.",
    429: "Too many requests; see Retry-After.",
    502: "The exchange did not answer clearly; the outcome is being looked up.",
    503: "Not available now (the exchange, or the vault that opens one-time-password secrets); nothing was changed.",
}

# code -> stable `code`, sentence, and what else the body says
_BODIES: dict[int, tuple[str, str, dict[str, Any]]] = {
    400: ("invalid", "The input is not valid.", {"errors": {"symbol": ["This field is required."]}}),
    401: ("token_revoked", "This login was ended.", {}),
    403: ("fresh_code_required", "This needs a fresh one-time code: send it in the header X-OTP-Code.", {}),
    404: ("not_found", "There is no such object.", {}),
    406: ("not_acceptable", "Could not satisfy the request Accept header.", {}),
    409: ("plan_over", "This plan is over.", {"details": {"plan": "7"}}),
    415: ("unsupported_media_type", 'Unsupported media type "text/plain" in request.', {}),
    429: ("throttled", "Request was throttled. Expected available in 12 seconds.", {}),
    502: ("outcome_unknown", "The exchange did not answer clearly.", {}),
    503: ("not_available", "The exchange cannot be reached; nothing was changed.", {}),
}

OTP_HEADER = OpenApiParameter(
    "X-OTP-Code", str, OpenApiParameter.HEADER, description="A fresh one-time code; this operation is risky."
)
IDEMPOTENCY_HEADER = OpenApiParameter(
    "Idempotency-Key",
    str,
    OpenApiParameter.HEADER,
    required=True,
    description="8 to 80 characters of your choice; a repeated request with the same key gets the first answer.",
)

OPTIONAL_IDEMPOTENCY_HEADER = OpenApiParameter(
    "Idempotency-Key",
    str,
    OpenApiParameter.HEADER,
    description="May be left out here: asking twice is harmless.",
)


def problems(*codes: int) -> dict[Any, Any]:
    """Problem answers for `extend_schema(responses=...)`; those every operation can give are always included."""
    return _answers({401, 403, 406, 429, 503, *codes})


def open_problems(*codes: int) -> dict[Any, Any]:
    """For operations without login."""
    return _answers({400, 406, 415, 429, *codes})


def _answers(codes: set[int]) -> dict[Any, Any]:
    return {
        (status, "application/problem+json"): OpenApiResponse(
            ProblemSerializer, description=_MEANINGS[status], examples=[_example(status)]
        )
        for status in sorted(codes)
    }


def _example(status: int) -> OpenApiExample:
    code, detail, more = _BODIES[status]
    body = {
        "type": "about:blank",
        "title": TITLES[status],
        "status": status,
        "code": code,
        "detail": detail,
        "request_id": "5f0c7e0a7f1d4d1f9a53a2f0c1b2d3e4",
        **more,
    }
    return OpenApiExample(code, body, response_only=True, status_codes=[str(status)])
