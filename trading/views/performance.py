"""How it went: the page, its curve as JSON, plans as CSV."""

import csv
import io
from collections.abc import Iterator

from django.http import HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
from django.urls import reverse

from accounts.permissions.http import requires
from accounts.selectors.trading_accounts import primary_account
from trading.selectors import bridge, results
from trading.selectors.ranges import DEFAULT, RANGES, range_since
from trading.views.frame import page


@requires("desk.read")
def performance_page(request: HttpRequest) -> HttpResponse:
    chosen = _chosen(request)
    account = primary_account()
    context: dict[str, object] = {"ranges": list(RANGES), "chosen": chosen, "has_account": account is not None}
    if account is not None:
        since, now = range_since(account.pk, chosen)
        plans = results.closed_plans_since(account.pk, since)
        bins = results.r_histogram(plans)
        context |= {
            "totals": results.totals(plans),
            "by_symbol": results.by_symbol(plans),
            "by_direction": results.by_direction(plans),
            "by_leg": results.by_leg(account.pk, since),
            "heat": results.heat(account.pk, now),
            "hours": range(24),
            "slippage": results.slippage(account.pk, since),
            "bridge": bridge.bridge(account.pk),
            "r_bins": bins,
            "r_most": max((row.count for row in bins), default=0),
            "curve_url": reverse("trading:performance_curve") + f"?range={chosen}",
        }
    return page(request, "trading/performance.html", context, fragments=(f"totals:{chosen}",), newer="results")


@requires("desk.read")
def performance_curve(request: HttpRequest) -> JsonResponse:
    account = primary_account()
    if account is None:
        return JsonResponse({"time_s": [], "equity_usd": [], "drawdown_ratio": []})
    since, _now = range_since(account.pk, _chosen(request))
    found = results.curve(account.pk, since)
    return JsonResponse(
        {"time_s": found.time_s, "equity_usd": found.equity_usd, "drawdown_ratio": found.drawdown_ratio}
    )


@requires("desk.read")
def plans_csv(request: HttpRequest) -> StreamingHttpResponse:
    account = primary_account()
    response = StreamingHttpResponse(_csv(account.pk if account else None), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = 'attachment; filename="plans.csv"'
    return response


def _csv(account_id: int | None) -> Iterator[str]:
    line = io.StringIO()
    writer = csv.writer(line)
    rows = results.plan_lines(account_id) if account_id is not None else iter(())
    writer.writerow(results.PLAN_COLUMNS)
    for row in rows:
        writer.writerow(row)
        yield line.getvalue()
        line.seek(0)
        line.truncate()
    yield line.getvalue()


def _chosen(request: HttpRequest) -> str:
    asked = request.GET.get("range", "")
    return asked if asked in RANGES else DEFAULT
