"""Counts every call of the API for its address, before anybody asks who calls: what is refused counts as well."""

import math
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from accounts.api.throttles import AddressThrottle
from avigrid.common.api_errors import problem_answer

API = "/api/v1/"


class AddressLimitMiddleware:
    """The framework asks its throttles last, after login and permission: guesses of either would be free there."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if not request.path_info.startswith(API):
            return self.get_response(request)
        throttle = AddressThrottle()
        if throttle.may_call():
            return self.get_response(request)
        wait_s = math.ceil(throttle.wait())
        sentence = f"Request was throttled. Expected available in {wait_s} seconds."
        refused = problem_answer(429, "throttled", sentence)
        refused["Retry-After"] = str(wait_s)
        return refused
