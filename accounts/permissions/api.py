"""The API's door: every view names its action per method or per viewset action; one that names none is refused."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.utils import timezone
from rest_framework.exceptions import Throttled
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework_simplejwt.tokens import Token

from accounts.permissions.decide import Answer, Visitor, decide
from accounts.permissions.http import CODE_HEADER, action_for, note_code, visitor_of
from accounts.permissions.table import Action
from accounts.services.attempts import TooManyAttempts
from accounts.services.second_factor import code_prove
from avigrid.common.api_errors import Refused


class ApiPermission(BasePermission):
    """Reads `view.access`: {"GET": ..., "POST": ...} or, for viewsets, {"list": ..., "place": ...}."""

    def has_permission(self, request: Request, view: Any) -> bool:
        action = api_action(view, request.method or "GET")
        if action is None:
            raise Refused("undeclared_action", "This operation names no permission; that is a fault of the server.")
        answer = decide(api_visitor(request), action)
        if answer is Answer.CODE and _code_given(request, action):
            answer = decide(api_visitor(request), action)
        if answer is Answer.ALLOW:
            return True
        if answer is Answer.LOGIN:
            return False  # the framework answers 401 with the right header
        raise Refused(answer.value, _SENTENCES[answer])


_SENTENCES = {
    Answer.ROLE: "Your role does not allow this.",
    Answer.DEVICE: "Set up and use a one-time-password device first.",
    Answer.CODE: f"This needs a fresh one-time code: send it in the header {CODE_HEADER}.",
}


def api_action(view: Any, method: str) -> Action | None:
    actions = getattr(view, "access", None) or {}
    name = actions.get(getattr(view, "action", None) or "")
    if name is not None:
        return action_for({"*": name}, method)
    return action_for(actions, method)


def api_visitor(request: Request) -> Visitor:
    """A token says whether it was issued against a code; a session says it itself."""
    given = getattr(request, "avigrid_code_at", None)
    if request.auth is None:
        visitor = visitor_of(request._request)
        user = request.user
        return Visitor(user, visitor.verified, visitor.code_age_s)
    age = None if given is None else timezone.now().timestamp() - given
    return Visitor(user=request.user, verified=_issued_with_code(request.auth), code_age_s=age)


@contextmanager
def attempts_counted() -> Iterator[None]:
    """Too many codes from one address, said as the framework says what is throttled."""
    try:
        yield
    except TooManyAttempts as spent:
        raise Throttled(wait=spent.wait_s) from None


def _issued_with_code(token: object) -> bool:
    return isinstance(token, Token) and bool(token.get("otp"))


def _code_given(request: Request, action: Action) -> bool:
    code = request.headers.get(CODE_HEADER, "")
    if not code or not request.user.is_authenticated:
        return False
    with attempts_counted():
        if code_prove(user=request.user, code=code, request=request._request, step=action.name) is None:
            return False
    request.avigrid_code_at = timezone.now().timestamp()  # type: ignore[attr-defined]
    if request.auth is None:
        note_code(request._request)
    return True
