"""Does what we believe equal what the venue has? Runs and findings, with detect, repair and proof."""

from django.http import HttpRequest, HttpResponse

from accounts.permissions.http import requires
from accounts.selectors.trading_accounts import primary_account
from trading.models import ReconciliationFinding, ReconciliationRun
from trading.views.frame import page


@requires("reconciliation.read")
def reconciliation_page(request: HttpRequest) -> HttpResponse:
    account = primary_account()
    findings = (
        ReconciliationFinding.objects.filter(account=account) if account else ReconciliationFinding.objects.none()
    )
    runs = ReconciliationRun.objects.filter(account=account) if account else ReconciliationRun.objects.none()
    context: dict[str, object] = {
        "open_findings": findings.filter(is_open=True)[:100],
        "closed_findings": findings.filter(is_open=False)[:50],
        "runs": runs[:30],
    }
    return page(request, "trading/reconciliation.html", context)
