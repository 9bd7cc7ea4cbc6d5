"""All plans, and one plan in full."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404

from accounts.permissions.http import requires
from accounts.selectors.trading_accounts import primary_account
from trading.models import Plan
from trading.selectors import plan_timeline
from trading.views.frame import page

_WHICH = ("open", "closed", "failed")


@requires("desk.read")
def plans_page(request: HttpRequest) -> HttpResponse:
    account = primary_account()
    which = request.GET.get("which", "") if request.GET.get("which", "") in _WHICH else ""
    known = plan_timeline.plan_symbols(account.pk) if account else []
    symbol = request.GET.get("symbol", "") if request.GET.get("symbol", "") in known else ""
    before = request.GET.get("before", "")
    found = (
        plan_timeline.plan_page(account.pk, which=which, symbol=symbol, before=before)
        if account
        else plan_timeline.PlanPage((), "")
    )
    context: dict[str, object] = {
        "found": found,
        "which": which,
        "symbol": symbol,
        "symbols": known,
        "is_first": not before,
    }
    if before:  # what lies further back does not move on, it moves down
        return page(request, "trading/plans.html", context, newer="plans")
    return page(request, "trading/plans.html", context, fragments=(f"plans_table:{which or 'all'}-{symbol or 'all'}",))


@requires("desk.read")
def plan_page(request: HttpRequest, plan_id: int) -> HttpResponse:
    plan = get_object_or_404(Plan.objects.select_related("placed_by", "signal"), pk=plan_id)
    context: dict[str, object] = {
        "plan": plan,
        "facts": plan_timeline.plan_facts(plan),
        "story": plan_timeline.plan_story(plan),
    }
    return page(request, "trading/plan.html", context, fragments=(f"plan_facts:{plan.pk}", f"plan:{plan.pk}"))
