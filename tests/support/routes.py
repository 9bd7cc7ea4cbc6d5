"""Every route of the project, found by asking Django itself, so that tomorrow's pages are walked too."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.urls import URLPattern, URLResolver, get_resolver

from accounts.permissions.http import declared_actions

_SAMPLES = {
    "int": "1",
    "str": "sample",
    "slug": "sample",
    "uuid": "00000000-0000-4000-8000-000000000001",
    "path": "1",
}
_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


@dataclass(frozen=True)
class Route:
    template: str
    path: str
    view: Any

    @property
    def is_api(self) -> bool:
        return hasattr(self.view, "cls")

    def actions(self) -> Mapping[str, str] | None:
        """Method -> action name; None where the route declares nothing."""
        declared = declared_actions(self.view, self.path.lstrip("/"))
        if declared is None:
            return None
        if not self.is_api:
            return {"GET": declared["*"], "POST": declared["*"]} if "*" in declared else dict(declared)
        by_method = getattr(self.view, "actions", None)  # a viewset: method -> its own name of the operation
        if by_method:
            return {
                method.upper(): declared.get(name, "")
                for method, name in by_method.items()
                if method.upper() in _METHODS
            }
        handled = [method for method in _METHODS if hasattr(self.view.cls, method.lower())]
        return {method: declared.get(method) or declared.get("*", "") for method in handled}


def all_routes() -> list[Route]:
    return list(_walk(get_resolver().url_patterns, ""))


def _walk(patterns: Any, prefix: str) -> Iterator[Route]:
    for pattern in patterns:
        template = prefix + _route_text(pattern)
        if isinstance(pattern, URLResolver):
            yield from _walk(pattern.url_patterns, template)
        elif isinstance(pattern, URLPattern):
            yield Route(template=template, path="/" + _filled(template), view=pattern.callback)


def _route_text(pattern: Any) -> str:
    text = str(pattern.pattern)
    if hasattr(pattern.pattern, "_route"):
        return text
    return text.removeprefix("^").removesuffix("$").removesuffix("\\Z")


def _filled(template: str) -> str:
    named = re.sub(r"<(?:(\w+):)?\w+>", lambda found: _SAMPLES[found.group(1) or "str"], template)
    simple = re.sub(r"\(\?P<\w+>[^()]*(?:\([^()]*\)[^()]*)*\)", "1", named)
    return simple.replace("\\.", ".").replace("\\/", "/").replace("?", "").replace("\\Z", "")
