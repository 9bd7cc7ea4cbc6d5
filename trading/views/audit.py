"""The audit trail: search it, prove its chain, take it away as a file."""

from datetime import UTC, datetime, timedelta

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.http import urlencode

from accounts.permissions.http import requires
from accounts.selectors.audit_chain import verify_chain
from accounts.selectors.audit_trail import audit_search
from trading.views.frame import page

PAGE = 50
_TEXTS = ("action", "object_type", "object_id", "actor", "text")


@requires("audit.read")
def audit_page(request: HttpRequest) -> HttpResponse:
    chosen = {name: request.GET.get(name, "").strip().replace("\x00", "")[:120] for name in _TEXTS}
    days = {name: request.GET.get(name, "")[:10] for name in ("since", "until")}
    since, until = _day(days["since"]), _day(days["until"])
    before = request.GET.get("before", "")
    before_id = int(before) if before.isdecimal() and len(before) < 19 else None
    rows = list(
        audit_search(
            **chosen,
            since=since,
            until=until + timedelta(days=1) if until else None,
            before_id=before_id,
        )[: PAGE + 1]
    )
    filters = urlencode({name: value for name, value in (chosen | days).items() if value})
    context: dict[str, object] = {
        "rows": rows[:PAGE],
        "chosen": chosen | days,
        "filters": filters,
        "is_first": before_id is None,
        "next_cursor": rows[PAGE - 1].pk if len(rows) > PAGE else "",
    }
    return page(request, "trading/audit.html", context, newer="audit")


@requires(POST="audit.read")
def audit_verify(request: HttpRequest) -> HttpResponse:
    """Walks the whole chain; a piece of page."""
    return render(request, "trading/partials/_chain.html", {"report": verify_chain()})


def _day(text: str) -> datetime | None:
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        return None
