"""Does what we believe equal what the venue has? Runs, findings with their proof, and what people decide about them."""

from django.http import Http404, HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.permissions.http import requires
from accounts.selectors.trading_accounts import primary_account
from avigrid.kernel.errors import AviGridError
from trading.engine.wishes import Wish
from trading.selectors.findings import finding_exists, reconciliation_view
from trading.services.foreign import finding_decide
from trading.services.reconciliation_asking import reconciliation_ask
from trading.views.answers import toast
from trading.views.frame import page

_BACK = "trading:reconciliation"
_SAID = {
    Wish.ADOPT: gettext_lazy("Adopting %(subject)s: it becomes a plan with a stop."),
    Wish.FLATTEN: gettext_lazy("Closing %(subject)s at the market."),
    Wish.CANCEL: gettext_lazy("Cancelling %(subject)s at the venue."),
    Wish.CLAIM: gettext_lazy("%(subject)s is claimed: it is left alone and not asked about again."),
    Wish.ACCEPT: gettext_lazy("%(subject)s: the books take over what the venue says. Re-arm the symbol afterwards."),
    Wish.IGNORE: gettext_lazy("%(subject)s is left alone; it keeps new risk out while it is there."),
}


@requires("reconciliation.read")
def reconciliation_page(request: HttpRequest) -> HttpResponse:
    account = primary_account()
    context: dict[str, object] = {"view": reconciliation_view(account.pk if account else None), "account": account}
    return page(request, "trading/reconciliation.html", context, fragments=("reconciliation",))


@requires(POST="reconciliation.run")
def reconciliation_run_view(request: HttpRequest) -> HttpResponse:
    account = primary_account()
    if account is None:
        return toast(request, _("There is no trading account."), refused=True, back=_BACK)
    reconciliation_ask(account=account, actor=request.user)  # type: ignore[arg-type]
    return toast(request, _("Asked the execution process to compare books and venue now."), back=_BACK)


@requires(POST="reconciliation.run")
def finding_decide_view(request: HttpRequest, finding_id: int, wish: str) -> HttpResponse:
    if wish not in list(Wish) or not finding_exists(finding_id):
        raise Http404
    try:
        finding = finding_decide(
            finding_id=finding_id,
            wish=Wish(wish),
            user=request.user,  # type: ignore[arg-type]
            reason=request.POST.get("reason", "")[:500],
        )
    except AviGridError as error:
        return toast(request, error.message, refused=True, back=_BACK)
    return toast(request, _SAID[Wish(wish)] % {"subject": finding.subject}, back=_BACK)
