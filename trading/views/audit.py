"""The audit trail: search it, prove its chain, take it away as a file."""

from datetime import UTC, date, datetime, timedelta

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.http import urlencode

from accounts.permissions.http import requires
from accounts.selectors.audit_chain import verify_chain
from accounts.selectors.audit_trail import audit_search
from trading.views.frame import page

PAGE = 50
_LENGTHS = {"action": 80, "object_type": 80, "object_id": 120, "actor": 254, "text": 120}
"""As long as the API takes them: the page and its export search for the same."""


@requires("audit.read")
def audit_page(request: HttpRequest) -> HttpResponse:
    chosen = {
        name: request.GET.get(name, "").strip().replace("\x00", "")[:longest] for name, longest in _LENGTHS.items()
    }
    days = {name: request.GET.get(name, "")[:10] for name in ("since", "until")}
    since, until = _day(days["since"]), _day_after(_day(days["until"]))
    before = request.GET.get("before", "")
    before_id = int(before) if before.isdecimal() and len(before) < 19 else None
    rows = list(
        audit_search(
            **chosen,
            since=since,
            until=until,
            before_id=before_id,
        )[: PAGE + 1]
    )
    filters = urlencode({name: value for name, value in (chosen | days).items() if value})
    moments = {"since": since, "until": until}
    export = urlencode(
        {name: value for name, value in chosen.items() if value}
        | {name: moment.isoformat() for name, moment in moments.items() if moment is not None}
    )
    context: dict[str, object] = {
        "rows": rows[:PAGE],
        "chosen": chosen | days,
        "filters": filters,
        "export": export,
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


def _day_after(day: datetime | None) -> datetime | None:
    """The end of a day. The last one of the calendar has none: nothing comes after it."""
    return None if day is None or day.date() == date.max else day + timedelta(days=1)
