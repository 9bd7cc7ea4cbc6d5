"""Health: processes, data, queues, stores."""

from django.http import HttpRequest, HttpResponse

from accounts.permissions.http import requires
from accounts.selectors.trading_accounts import primary_account
from trading.selectors.health import health
from trading.views.frame import page


@requires("health.read")
def system_page(request: HttpRequest) -> HttpResponse:
    account = primary_account()
    return page(
        request, "trading/system.html", {"health": health(account.pk if account else None)}, fragments=("health",)
    )
