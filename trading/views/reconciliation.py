"""Does what we believe equal what the venue has? Runs and findings, with detect, repair and proof."""

from django.http import HttpRequest, HttpResponse

from accounts.permissions.http import requires
from accounts.selectors.trading_accounts import primary_account
from trading.selectors.findings import reconciliation_view
from trading.views.frame import page


@requires("reconciliation.read")
def reconciliation_page(request: HttpRequest) -> HttpResponse:
    account = primary_account()
    context: dict[str, object] = {"view": reconciliation_view(account.pk if account else None)}
    return page(request, "trading/reconciliation.html", context, fragments=("reconciliation",))
