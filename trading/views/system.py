"""Health: processes, streams, data, queues, stores; and the doctor, who examines when asked."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from accounts.permissions.http import requires
from accounts.selectors.trading_accounts import primary_account
from trading.engine.diagnosis import Level
from trading.runtime.doctor import examine
from trading.selectors.alerts import told_lately
from trading.selectors.health import health
from trading.views.frame import page

_WORST_FIRST = (Level.FAIL, Level.WARN, Level.INFO, Level.SKIPPED, Level.OK)


@requires("health.read")
def system_page(request: HttpRequest) -> HttpResponse:
    return _page(request, {})


@requires(GET="health.read")
def doctor_view(request: HttpRequest) -> HttpResponse:
    """A piece of page; without htmx the whole page with it. Opens no key and asks no exchange."""
    checks = sorted(examine(ask_exchange=False), key=lambda check: _WORST_FIRST.index(check.level))
    count = {level.value: sum(check.level is level for check in checks) for level in Level}
    found: dict[str, object] = {"checks": checks, "count": count}
    if request.headers.get("HX-Request"):
        return render(request, "trading/partials/_doctor.html", found)
    return _page(request, found)


def _page(request: HttpRequest, found: dict[str, object]) -> HttpResponse:
    account = primary_account()
    context = {"health": health(account.pk if account else None), "told": told_lately(), **found}
    return page(request, "trading/system.html", context, fragments=("health", "alert_list"))
