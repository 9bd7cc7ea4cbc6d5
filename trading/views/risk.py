"""Limits, locks, kill switch: looking is for everybody, re-arming and flattening for an admin with a fresh code."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _

from accounts.core.roles import Role
from accounts.permissions.http import requires
from accounts.selectors.people import user_role
from accounts.selectors.trading_accounts import primary_account
from avigrid.kernel.errors import AviGridError
from marketdata.selectors.instruments import whitelist
from risk.core.states import State, StateSource
from risk.services.states import halt, rearm
from trading.selectors.auto_mode import auto_modes_shown
from trading.selectors.risk_page import risk_page as everything
from trading.services.locking import wake_execution
from trading.views.frame import page


@requires("risk.read")
def risk_page(request: HttpRequest) -> HttpResponse:
    account = primary_account()
    role = user_role(request.user)
    context: dict[str, object] = {
        "risk": everything(account.pk) if account else None,
        "modes": auto_modes_shown(account.pk) if account else [],
        "may_trade": role is not None and role.includes(Role.TRADER),
        "watched": sorted(whitelist()),
    }
    return page(request, "trading/risk.html", context, fragments=("risk", "auto_modes", "limits"))


@requires(POST="rearm")
def rearm_view(request: HttpRequest) -> HttpResponse:
    """`symbol` empty: the account. The permission asked for the fresh code that came with the form."""
    account = primary_account()
    if account is None:
        messages.warning(request, _("There is no trading account."))
        return redirect("trading:risk")
    to = State.REDUCING if request.POST.get("to") == State.REDUCING.value else State.ACTIVE
    try:
        change = rearm(
            account_id=account.pk,
            symbol=request.POST.get("symbol", "")[:32] or None,
            to=to,
            reason=request.POST.get("reason", "")[:500],
            actor=request.user,  # type: ignore[arg-type]
            otp_used=True,
        )
    except AviGridError as error:
        messages.warning(request, error.message)
        return redirect("trading:risk")
    wake_execution(account.pk, "plan")
    if change is None:
        messages.info(request, _("It stood so already."))
    else:
        messages.info(request, _("Now %(after)s, was %(before)s.") % {"after": change.after, "before": change.before})
    return redirect("trading:risk")


@requires(POST="flatten")
def flatten_view(request: HttpRequest) -> HttpResponse:
    """HALT and close everything; the execution process does it and keeps at it until the venue says flat."""
    account = primary_account()
    reason = request.POST.get("reason", "").strip()[:500]
    if account is None or not reason:
        messages.warning(request, _("Flatten needs a trading account and a reason."))
        return redirect("trading:risk")
    halt(
        account_id=account.pk,
        source=StateSource.OPERATOR,
        reason=reason,
        actor=request.user,  # type: ignore[arg-type]
        flatten=True,
        otp_used=True,
    )
    messages.warning(request, _("HALTED, and everything is being closed at the market until the venue says flat."))
    return redirect("trading:risk")
