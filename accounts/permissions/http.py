"""Doors made of Django views: how they name their action and what a refused visitor sees."""

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, ClassVar
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render, resolve_url
from django.urls import reverse
from django.utils import timezone
from django.utils.cache import add_never_cache_headers

from accounts.ciphers.base import CipherError
from accounts.permissions.decide import Answer, Visitor, decide
from accounts.permissions.table import EXTERNAL_ROUTES, Action, UndeclaredAction, action_named
from accounts.services.attempts import TooManyAttempts
from accounts.services.second_factor import code_prove

CODE_AT_SESSION_KEY = "otp_code_at"
CODE_FIELD = "otp_code"
CODE_HEADER = "X-OTP-Code"
UNDONE = "undone"
"""In the login page's address: somebody came here by a command that found no session."""
_ATTRIBUTE = "avigrid_access"
_READING = ("GET", "HEAD", "OPTIONS")

View = Callable[..., HttpResponseBase]


def requires(action: str = "", /, **by_method: str) -> Callable[[View], View]:
    """`@requires("desk.read")`, or by method: `@requires(GET="risk.read", POST="limits.change")`.

    Names the action and enforces it. Use it outermost. A method that is not named is refused with 405.
    """
    actions = {"*": action} if action else dict(by_method)
    for name in actions.values():
        action_named(name)

    def decorate(view: View) -> View:
        @wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            named = action_for(actions, request.method or "GET")
            if named is None:
                return HttpResponse(status=405, headers={"Allow": ", ".join(sorted(actions))})
            refused = refusal(request, named)
            if refused is not None:
                return refused
            response = view(request, *args, **kwargs)
            if named.door != "public":
                add_never_cache_headers(response)
            return response

        setattr(guarded, _ATTRIBUTE, actions)
        return guarded

    return decorate


class RequiresMixin:
    """For class-based views: `access = {"GET": "desk.read", "POST": "signal.place"}`; put it first among the bases."""

    access: ClassVar[Mapping[str, str]] = {}

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        guarded = requires(**dict(self.access))(super().dispatch)  # type: ignore[misc]
        return guarded(request, *args, **kwargs)


def declared_actions(view: Any, route: str) -> Mapping[str, str] | None:
    """Method (or "*") -> action name, as declared by a view, its class, or the table of external routes."""
    found = getattr(view, _ATTRIBUTE, None)
    if found:
        return found
    cls = getattr(view, "view_class", None) or getattr(view, "cls", None)
    if cls is not None and getattr(cls, "access", None):
        return cls.access
    matches = [prefix for prefix in EXTERNAL_ROUTES if route.startswith(prefix)]
    return {"*": EXTERNAL_ROUTES[max(matches, key=len)]} if matches else None


def action_for(actions: Mapping[str, str], method: str) -> Action | None:
    name = actions.get(method) or actions.get("*")
    if name is None and method in _READING:
        name = actions.get("GET")
    return action_named(name) if name else None


def visitor_of(request: HttpRequest) -> Visitor:
    user = request.user
    code_at = request.session.get(CODE_AT_SESSION_KEY) if hasattr(request, "session") else None
    return Visitor(
        user=user,
        verified=bool(user.is_authenticated and getattr(user, "otp_device", None) is not None),
        code_age_s=None if code_at is None else timezone.now().timestamp() - code_at,
    )


def refusal(request: HttpRequest, action: Action) -> HttpResponse | None:
    """None where the visitor may pass. A fresh code may come with the request itself."""
    answer = decide(visitor_of(request), action)
    try:
        if answer is Answer.CODE and code_given(request, action):
            answer = decide(visitor_of(request), action)
    except CipherError as error:
        return cipher_away(request, error)
    except TooManyAttempts as spent:
        return too_many(request, spent.wait_s)
    if answer is Answer.ALLOW:
        return None
    return refuse(request, answer)


def passes(request: HttpRequest, action: Action) -> bool:
    """For doors that ask in words of their own. Raises CipherError, TooManyAttempts."""
    answer = decide(visitor_of(request), action)
    if answer is Answer.CODE and code_given(request, action):
        answer = decide(visitor_of(request), action)
    return answer is Answer.ALLOW


def code_given(request: HttpRequest, action: Action) -> bool:
    """Whether the request itself brings a good code; from then on the session counts as fresh. Raises CipherError,
    TooManyAttempts."""
    code = request.headers.get(CODE_HEADER) or (request.POST.get(CODE_FIELD, "") if request.method == "POST" else "")
    if not code or not request.user.is_authenticated:
        return False
    if code_prove(user=request.user, code=code, request=request, step=action.name) is None:
        return False
    note_code(request)
    return True


def note_code(request: HttpRequest) -> None:
    request.session[CODE_AT_SESSION_KEY] = timezone.now().timestamp()


def otp_was_fresh(request: HttpRequest) -> bool:
    """For the audit entry of a risky action."""
    return visitor_of(request).code_age_s is not None


def refuse(request: HttpRequest, answer: Answer) -> HttpResponse:
    if answer in (Answer.LOGIN, Answer.DEVICE):
        by_script = bool(request.headers.get("HX-Request"))
        target = _login_page(request, by_script) if answer is Answer.LOGIN else _device_page(request)
        if by_script:
            return HttpResponse(status=401 if answer is Answer.LOGIN else 403, headers={"HX-Redirect": target})
        return redirect(target)
    if answer is Answer.CODE and request.method == "GET" and not request.headers.get("HX-Request"):
        return redirect(reverse("accounts:fresh") + "?" + urlencode({"next": request.get_full_path()}))
    response = render(request, "accounts/refused.html", {"answer": answer.value}, status=403)
    response["X-Refused"] = answer.value
    return response


def cipher_away(request: HttpRequest, error: CipherError) -> HttpResponse:
    """What a page says while codes cannot be checked: which ways stay open. Nothing was changed."""
    response = render(request, "accounts/cipher_away.html", {"sentence": error.message}, status=503)
    response["Retry-After"] = "30"
    response["X-Refused"] = error.code
    return response


def _login_page(request: HttpRequest, by_script: bool) -> str:
    """Leads back to a page; of a command, which is not repeated, it says that it was not carried out."""
    target = resolve_url("accounts:login")
    query = {} if by_script else {"next": request.get_full_path() if request.method == "GET" else "/"}
    if request.method not in _READING:
        query[UNDONE] = "1"
    return f"{target}?{urlencode(query)}" if query else target


def too_many(request: HttpRequest, wait_s: int) -> HttpResponse:
    """This address tries more often than a person does, whoever it says it is."""
    response = render(request, "accounts/locked_out.html", {"minutes": max(1, -(-wait_s // 60))}, status=429)
    response["Retry-After"] = str(wait_s)
    return response


def _device_page(request: HttpRequest) -> str:
    return reverse("accounts:device")


__all__ = [
    "CODE_FIELD",
    "CODE_HEADER",
    "RequiresMixin",
    "UndeclaredAction",
    "action_for",
    "cipher_away",
    "code_given",
    "declared_actions",
    "note_code",
    "otp_was_fresh",
    "passes",
    "refusal",
    "refuse",
    "requires",
    "too_many",
    "visitor_of",
]
