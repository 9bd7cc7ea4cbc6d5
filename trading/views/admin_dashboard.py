"""The admin's first page: what state the desk is in, where each thing is configured, what runs by itself and when."""

from collections.abc import Sequence
from dataclasses import dataclass

from celery import current_app
from celery.schedules import crontab, schedule
from django.conf import settings
from django.http import HttpRequest
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from accounts.selectors.audit_trail import audit_search
from accounts.selectors.trading_accounts import active_key_id, primary_account
from avigrid.kernel.errors import AviGridError
from risk.core.states import State
from risk.selectors.limits import current_limits
from trading.selectors.strategy import active_version
from trading.selectors.top_bar import top_bar
from trading.services.channels import channel_count

RECENT = 12
_TASKS: dict[str, str | Promise] = {
    "trading.notifications_deliver": gettext_lazy("sends what people are to be told"),
    "trading.silence_watch": gettext_lazy("notices a process that fell silent"),
    "common.worker_heartbeat": gettext_lazy("the worker's own sign of life"),
    "trading.signals_expire": gettext_lazy("takes signals off the desk whose time is over"),
    "marketdata.gaps_sweep": gettext_lazy("fills holes in the bars"),
    "trading.measures_update": gettext_lazy("figures for the monitoring"),
    "trading.performance_update": gettext_lazy("sums of closed plans by day"),
    "trading.validation_update": gettext_lazy("models live signals for the forward validation"),
    "marketdata.rollups_update": gettext_lazy("longer bars from the stored ones"),
    "marketdata.funding_update": gettext_lazy("fetches settled funding rates"),
    "marketdata.bars_verify": gettext_lazy("compares stored bars with the exchange"),
    "trading.tend_research": gettext_lazy("hands out research runs whose worker died"),
    "accounts.forget": gettext_lazy("forgets old sessions and answers"),
    "marketdata.retention": gettext_lazy("archives old market data"),
    "trading.retention": gettext_lazy("archives old decisions and messages"),
}
_TONES = {"simulated": "info", "demo": "info", "testnet": "warning", "mainnet": "danger"}


@dataclass(frozen=True, slots=True)
class Card:
    """`tone`: good, warn or alarm; `page` on the desk, `change` in the admin."""

    title: str
    value: str
    tone: str
    about: str
    page: str
    change: str = ""


@dataclass(frozen=True, slots=True)
class ScheduleRow:
    task: str
    about: str
    when: str


def environment(request: HttpRequest) -> list[str]:
    """The badge beside the title, as the stripe of the desk."""
    account = primary_account()
    name = account.environment if account else str(settings.AVIGRID["MARKET_ENVIRONMENT"])
    return [name.upper(), _TONES.get(name, "danger")]


def dashboard(request: HttpRequest, context: dict[str, object]) -> dict[str, object]:
    return {
        **context,
        "title": _("Overview"),
        "cards": _cards(),
        "schedules": schedules(),
        "recent": audit_search()[:RECENT],
    }


def schedules() -> list[ScheduleRow]:
    """As avigrid/celery.py sets them; the beat process follows them."""
    return [
        ScheduleRow(name, str(_TASKS.get(name, "")), _when(entry["schedule"]))
        for name, entry in current_app.conf.beat_schedule.items()
    ]


def _when(at: object) -> str:
    if isinstance(at, crontab):
        if len(at.hour) == 24:
            return _("every hour at minute %(minute)s") % {"minute": min(at.minute)}
        return _("every day at %(time)s UTC") % {"time": f"{min(at.hour):02d}:{min(at.minute):02d}"}
    assert isinstance(at, schedule)
    seconds = int(at.run_every.total_seconds())
    if seconds % 60 == 0:
        return ngettext("every minute", "every %(n)d minutes", seconds // 60) % {"n": seconds // 60}
    return _("every %(n)d seconds") % {"n": seconds}


def _cards() -> Sequence[Card]:
    bar = top_bar()
    account = primary_account()
    silent = bar.silent_processes
    cards = [
        Card(
            _("Trading state"),
            bar.state.name if bar.state else "–",
            {State.ACTIVE: "good", State.REDUCING: "warn"}.get(bar.state, "alarm") if bar.state else "warn",
            _("HALT is on every page of the desk."),
            reverse("trading:risk"),
            reverse("admin:risk_tradingstatechange_changelist"),
        ),
        Card(
            _("Processes"),
            _("%(n)d alive, %(silent)d silent") % {"n": len(bar.processes) - silent, "silent": silent},
            "alarm" if silent or not bar.processes else "good",
            _("Streams, queues, lags and the doctor are on the Health page."),
            reverse("trading:system"),
        ),
        Card(
            _("Reconciliation"),
            _("%(n)d open findings") % {"n": bar.reconciliation.open_findings},
            "alarm" if bar.reconciliation.critical else "warn" if bar.reconciliation.open_findings else "good",
            _("What we believe against what the exchange has."),
            reverse("trading:reconciliation"),
            reverse("admin:trading_reconciliationfinding_changelist"),
        ),
        _strategy(),
    ]
    if account is None:
        about = _("Add an account, then its exchange key.")
        change = reverse("admin:accounts_tradingaccount_add")
        return [*cards, Card(_("Trading account"), _("none"), "alarm", about, reverse("trading:risk"), change)]
    has_key = active_key_id(account.pk) is not None
    channels = channel_count()
    return [
        *cards,
        _limits(account.pk),
        Card(
            _("Exchange key"),
            _("active") if has_key else _("missing"),
            "good" if has_key else "alarm",
            _("Of account %(label)s; kept encrypted.") % {"label": account.label},
            reverse("trading:system"),
            reverse("admin:accounts_apikey_changelist"),
        ),
        Card(
            _("Notification channels"),
            str(channels),
            "good" if channels else "warn",
            _("Without one nobody is told when nobody looks."),
            reverse("trading:system"),
            reverse("admin:trading_notificationchannel_changelist"),
        ),
    ]


def _strategy() -> Card:
    version = active_version()
    value = f"{version.name} v{version.version}, {version.stage}" if version else _("none")
    about = _("The numbers that decide, and their stage.")
    change = reverse("admin:trading_strategyversion_changelist")
    return Card(_("Strategy"), value, "good" if version else "alarm", about, reverse("trading:research"), change)


def _limits(account_id: int) -> Card:
    change = reverse("admin:risk_risklimitsversion_changelist")
    try:
        version, limits = current_limits(account_id)
    except AviGridError as error:
        return Card(_("Risk limits"), _("none"), "alarm", error.message, reverse("trading:risk"), change)
    value = _("version %(n)s") % {"n": version} if version else _("defaults")
    about = _("1 R is %(usd)s USDT, at most %(r)s R open at once.") % {
        "usd": f"{limits.r_usd:g}",
        "r": f"{limits.max_total_risk_r:g}",
    }
    return Card(_("Risk limits"), value, "good", about, reverse("trading:risk"), change)
