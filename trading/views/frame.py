"""What every page of the desk carries: the top bar, the navigation, the reader's role, its live fragments."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from accounts.selectors.people import user_role
from trading.runtime import fragments as _registered  # noqa: F401 - fills the registry
from trading.selectors import desk

PAGES = (("trading:desk", _("Desk")), ("trading:reconciliation", _("Reconciliation")))


@dataclass(frozen=True, slots=True)
class NavigationItem:
    title: str
    url: str
    is_current: bool


def page(
    request: HttpRequest,
    template: str,
    context: dict[str, object] | None = None,
    *,
    fragments: Sequence[str] = (),
    status: int = 200,
) -> HttpResponse:
    """Render a full page; `fragments` are those it keeps live besides the top bar."""
    role = user_role(request.user)
    items = [NavigationItem(str(title), reverse(name), request.path == reverse(name)) for name, title in PAGES]
    return render(
        request,
        template,
        {
            "bar": desk.top_bar(),
            "role": role.value if role else "",
            "navigation": items,
            "fragments": ["topbar", *fragments],
            **(context or {}),
        },
        status=status,
    )
