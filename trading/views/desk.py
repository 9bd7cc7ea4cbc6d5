"""The Desk and the buttons on it."""

from collections.abc import Callable

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _

from accounts.permissions.http import requires
from accounts.selectors.trading_accounts import primary_account
from avigrid.common.spoken import said
from avigrid.kernel.errors import AviGridError
from risk.core.states import StateSource
from trading.models import Plan, Signal
from trading.selectors import desk
from trading.services.halting import accounts_halt
from trading.services.place_preview import place_preview
from trading.services.placing import signal_place
from trading.services.plan_commands import plan_break_even, plan_cancel_entries, plan_close
from trading.views.answers import toast
from trading.views.frame import page


@requires("desk.read")
def desk_page(request: HttpRequest) -> HttpResponse:
    account = primary_account()
    context: dict[str, object] = {
        "cards": desk.signal_cards(),
        "rows": desk.plan_rows(account.pk) if account else [],
        "closed": desk.closed_plans(account.pk) if account else [],
        "fills": desk.recent_fills(account.pk) if account else [],
    }
    return page(request, "trading/desk.html", context, fragments=("signals", "plans", "fills"))


@requires(GET="signal.place")
def signal_confirm(request: HttpRequest, signal_id: int) -> HttpResponse:
    """The dialog before the click: everything checked again, with what changed since the signal."""
    signal = get_object_or_404(Signal, pk=signal_id)
    account = primary_account()
    if account is None:
        return toast(request, _("There is no trading account."), refused=True)
    preview = place_preview(signal_id=signal.pk, account_id=account.pk)
    return render(request, "trading/partials/_place_dialog.html", {"preview": preview, "account": account})


@requires(POST="signal.place")
def signal_place_view(request: HttpRequest, signal_id: int) -> HttpResponse:
    signal = get_object_or_404(Signal, pk=signal_id)
    account = primary_account()
    if account is None:
        return toast(request, _("There is no trading account."), refused=True)
    placement = signal_place(signal_id=signal.pk, account_id=account.pk, user=request.user)  # type: ignore[arg-type]
    if placement.placed:
        return toast(request, _("%(symbol)s placed as plan %(plan)s.") % {
            "symbol": signal.symbol, "plan": placement.plan_id})  # fmt: skip
    if placement.code == "signal_queued":
        text = _("%(symbol)s is queued. %(why)s")
        return toast(request, text % {"symbol": signal.symbol, "why": said(placement.sentence)})
    return toast(request, placement.sentence, refused=True)


@requires(POST="plan.close")
def plan_close_view(request: HttpRequest, plan_id: int) -> HttpResponse:
    return _plan_command(request, plan_id, plan_close, _("Closing plan %(plan)s."))


@requires(POST="plan.close")
def plan_break_even_view(request: HttpRequest, plan_id: int) -> HttpResponse:
    return _plan_command(request, plan_id, plan_break_even, _("Plan %(plan)s: stop goes to break-even."))


@requires(POST="plan.close")
def plan_cancel_entries_view(request: HttpRequest, plan_id: int) -> HttpResponse:
    return _plan_command(request, plan_id, plan_cancel_entries, _("Plan %(plan)s: entries are being cancelled."))


@requires(POST="halt")
def halt_view(request: HttpRequest) -> HttpResponse:
    """A plain form: works without JavaScript, from every page, for every account that trades."""
    if primary_account() is None:
        messages.warning(request, _("There is no trading account to halt."))
        return redirect("trading:desk")
    halted = accounts_halt(source=StateSource.OPERATOR, reason="HALT button", actor=request.user)  # type: ignore[arg-type]
    if halted.failed:
        text = _("NOT halted: %(accounts)s. Press HALT again; on the machine, manage.py halt does the same.")
        messages.error(request, text % {"accounts": ", ".join(halted.failed)})
        if safe := (*halted.now, *halted.before):
            messages.warning(request, _("Halted: %(accounts)s.") % {"accounts": ", ".join(safe)})
    elif not halted.now:
        messages.info(request, _("Trading was halted already."))
    else:
        messages.warning(request, _("HALTED: no new risk, resting entries are cancelled, stops and exits stay."))
    return redirect(_back(request))


def _plan_command(request: HttpRequest, plan_id: int, command: Callable[..., Plan], done: str) -> HttpResponse:
    get_object_or_404(Plan, pk=plan_id)
    try:
        command(plan_id=plan_id, user=request.user)
    except AviGridError as error:
        return toast(request, error.message, refused=True)
    return toast(request, done % {"plan": plan_id})


def _back(request: HttpRequest) -> str:
    """The page it was pressed on, and only to our own."""
    wanted = request.POST.get("next", "")
    is_ours = url_has_allowed_host_and_scheme(wanted, {request.get_host()}, require_https=request.is_secure())
    return wanted if is_ours and wanted.startswith("/") else reverse("trading:desk")
