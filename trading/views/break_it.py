"""Break it: faults of the demo at a click, and what came of them. Outside the demo the page does not exist."""

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.translation import gettext as _

from accounts.permissions.http import requires
from accounts.selectors.trading_accounts import primary_account
from avigrid.kernel.errors import AviGridError
from trading.selectors.demo_faults import fault_stories
from trading.services.demo_faults import ACTIONS, demo_fault_start
from trading.views.answers import toast
from trading.views.frame import page


@requires("demo.faults")
def break_it_page(request: HttpRequest) -> HttpResponse:
    _demo_only()
    account = primary_account()
    context: dict[str, object] = {
        "actions": list(ACTIONS.values()),
        "stories": fault_stories(account.pk) if account else [],
    }
    return page(request, "trading/break_it.html", context, fragments=("faults",))


@requires(POST="demo.faults")
def break_it_do(request: HttpRequest, name: str) -> HttpResponse:
    _demo_only()
    account = primary_account()
    refused, text = True, _("There is no trading account.")
    if account is not None:
        try:
            action = demo_fault_start(name=name, account_id=account.pk, user=request.user)  # type: ignore[arg-type]
            refused, text = False, _("Done: %(title)s.") % {"title": action.title}
        except AviGridError as error:
            text = error.message
    return toast(request, text, refused=refused, back="trading:break_it")


def _demo_only() -> None:
    if not settings.AVIGRID["DEMO"]:
        raise Http404
