"""What every page of the desk carries: the top bar, the navigation, the reader's role, its live fragments."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from accounts.core.roles import Role
from accounts.permissions.table import action_named
from accounts.selectors.people import user_role
from trading.runtime import fragments as _registered  # noqa: F401 - fills the registry
from trading.selectors.alerts import alert_board
from trading.selectors.newer import mark_of
from trading.selectors.top_bar import top_bar


@dataclass(frozen=True, slots=True)
class PageEntry:
    """One entry of the navigation; shown to whoever may do `action`, and `demo_only` only in the demo."""

    name: str
    title: str | Promise
    action: str
    demo_only: bool = False


PAGES = (
    PageEntry("trading:desk", _("Desk"), "desk.read"),
    PageEntry("trading:symbols", _("Symbols"), "market.read"),
    PageEntry("trading:decisions", _("Decisions"), "market.read"),
    PageEntry("trading:plans", _("Plans"), "desk.read"),
    PageEntry("trading:performance", _("Performance"), "desk.read"),
    PageEntry("trading:research", _("Research"), "research.read"),
    PageEntry("trading:risk", _("Risk"), "risk.read"),
    PageEntry("trading:reconciliation", _("Reconciliation"), "reconciliation.read"),
    PageEntry("trading:system", _("Health"), "health.read"),
    PageEntry("trading:audit", _("Audit"), "audit.read"),
    PageEntry("trading:break_it", _("Break it"), "demo.faults", demo_only=True),
)


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
    home: str = "",
    newer: str = "",
) -> HttpResponse:
    """Render a full page; `fragments` are those it keeps live besides the top bar.

    `newer`: what of it stands still, so that people are told when there is more (`selectors.newer`). `home`: where a
    page that answers a form can be asked for anew, since its own address takes forms only.
    """
    role = user_role(request.user)
    entries = [entry for entry in PAGES if _may_see(entry, role)]
    here = _current(request.path, [reverse(entry.name) for entry in entries])
    items = [NavigationItem(str(entry.title), reverse(entry.name), reverse(entry.name) == here) for entry in entries]
    return render(
        request,
        template,
        {
            "bar": top_bar(),
            "here": home if home and request.method == "POST" else request.get_full_path(),
            "now_ms": time.time_ns() // 1_000_000,
            "role": role.value if role else "",
            "navigation": items,
            "board": alert_board(),
            "mark": mark_of(newer, role.value if role else "") if newer else "",
            "fragments": ["topbar", "alerts", *([f"newer:{newer}"] if newer else []), *fragments],
            **(context or {}),
        },
        status=status,
    )


def _may_see(entry: PageEntry, role: Role | None) -> bool:
    least = action_named(entry.action).least
    if role is None or (least is not None and not role.includes(least)):
        return False
    return not entry.demo_only or bool(settings.AVIGRID["DEMO"])


def _current(path: str, urls: Sequence[str]) -> str:
    """The longest entry the path lies under; a plan's page belongs to Plans."""
    return max((url for url in urls if path == url or (url != "/" and path.startswith(url))), key=len, default="")
