"""Auto mode's buttons on the Risk page: granting it for a while, ending it at once."""

from decimal import Decimal, InvalidOperation

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.permissions.http import requires
from accounts.selectors.people import user_role
from accounts.selectors.trading_accounts import primary_account
from avigrid.common.spoken import said
from avigrid.kernel.errors import AviGridError
from trading.runtime.screen import Reader, render
from trading.services.auto_mode import auto_mode_grant, auto_mode_revoke

MOST_HOURS = 1_000  # beyond it no number is worth working out


@requires(POST="auto.grant")
def auto_grant_view(request: HttpRequest) -> HttpResponse:
    """The permission asked for the fresh code that came with the form."""
    account = primary_account()
    if account is None:
        messages.warning(request, _("There is no trading account."))
        return redirect("trading:risk")
    try:
        mode = auto_mode_grant(
            account_id=account.pk,
            symbol=request.POST.get("symbol", "")[:32],
            minutes=_minutes(request.POST.get("hours", "")),
            reason=request.POST.get("reason", ""),
            user=request.user,  # type: ignore[arg-type]
            otp_used=True,
            now=timezone.now(),
        )
    except AviGridError as error:
        messages.warning(request, said(error.message))
    else:
        messages.info(request, _("Signals of %(symbol)s are placed automatically now.") % {"symbol": mode.symbol})
    return redirect("trading:risk")


@requires(POST="auto.revoke")
def auto_revoke_view(request: HttpRequest) -> HttpResponse:
    """Answers with the panel as it stands now."""
    account = primary_account()
    if account is not None:
        auto_mode_revoke(
            account_id=account.pk,
            symbol=request.POST.get("symbol", "")[:32],
            user=request.user,  # type: ignore[arg-type]
            now=timezone.now(),
        )
    role = user_role(request.user)
    reader = Reader(role.value if role else "", request.LANGUAGE_CODE)
    return HttpResponse(render("auto_modes", reader, out_of_band=False))


def _minutes(hours: str) -> int:
    """0 for what is no number of hours; the service names the limits."""
    try:
        wanted = Decimal(hours.replace(",", "."))
    except InvalidOperation:
        return 0
    return int(wanted * 60) if wanted.is_finite() and abs(wanted) < MOST_HOURS else 0
