"""Text that every part of the house can hold: PostgreSQL knows no NUL, UTF-8 no half of a surrogate pair."""

import re
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest, QueryDict

from avigrid.common.api_errors import problem_answer

_UNFIT = re.compile("[\x00\ud800-\udfff]")
UNFIT_SENTENCE = "Text must not hold NUL or half of a surrogate pair."


def is_fit(text: str) -> bool:
    return _UNFIT.search(text) is None


class FitTextMiddleware:
    """Refuses it in addresses and forms before any page reads them. A body of JSON has a reader of its own."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        is_api = request.path_info.startswith("/api/")
        try:
            # the API reads no forms, and reads its body itself
            unfit = _unfit_field(request.GET) or ("" if is_api else _unfit_field(request.POST))
        except LookupError:
            return _refusal(is_api, "charset", "This charset holds no text.")
        return _refusal(is_api, unfit, UNFIT_SENTENCE) if unfit else self.get_response(request)


def _unfit_field(given: QueryDict) -> str:
    """The name of the first such field, as far as it can be said."""
    for name, values in given.lists():
        if not (is_fit(name) and all(map(is_fit, values))):
            return _UNFIT.sub("\ufffd", name) or "?"
    return ""


def _refusal(is_api: bool, field: str, sentence: str) -> HttpResponse:
    if is_api:
        return problem_answer(400, "invalid", "The input is not valid.", errors={field: [sentence]})
    return HttpResponseBadRequest(f"{field}: {sentence}", content_type="text/plain; charset=utf-8")
