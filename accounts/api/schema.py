"""Documented refusals, so that the schema tells a client every answer it can get."""

from typing import Any

from drf_spectacular.utils import OpenApiParameter, OpenApiResponse

from accounts.api.serializers import ProblemSerializer

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
    503: "Not available now; nothing was changed.",
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
    return {
        (code, "application/problem+json"): OpenApiResponse(ProblemSerializer, description=_MEANINGS[code])
        for code in sorted({401, 403, 406, 429, *codes})
    }


def open_problems(*codes: int) -> dict[Any, Any]:
    """For operations without login."""
    return {
        (code, "application/problem+json"): OpenApiResponse(ProblemSerializer, description=_MEANINGS[code])
        for code in sorted({400, 406, 415, 429, *codes})
    }
