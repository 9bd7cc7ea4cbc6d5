"""The permission table: what may be done, and the least role it needs. Doors name an action; nothing else decides.

docs/security.md shows this table and a test walks every route of the project against it.
"""

from dataclasses import dataclass
from enum import StrEnum

from accounts.core.roles import Role


class Door(StrEnum):
    """Who may knock at all."""

    PUBLIC = "public"
    """Anybody, logged in or not."""
    SELF = "self"
    """Whoever is logged in, even a trader who has no device yet: logging out, setting up a device."""
    ROLE = "role"
    """The least role, with the second factor that role demands."""


@dataclass(frozen=True, slots=True)
class Action:
    name: str
    door: Door
    least: Role | None
    code_within_s: float | None
    """How long ago the last one-time code may have been entered; None: any time since the login."""
    meaning: str


def _public(name: str, meaning: str) -> Action:
    return Action(name, Door.PUBLIC, None, None, meaning)


def _self(name: str, meaning: str) -> Action:
    return Action(name, Door.SELF, None, None, meaning)


def _role(name: str, least: Role, meaning: str, *, code_within_s: float | None = None) -> Action:
    return Action(name, Door.ROLE, least, code_within_s, meaning)


_NOW = 60.0
_RECENTLY = 300.0


_V, _T, _A = Role.VIEWER, Role.TRADER, Role.ADMIN

ACTIONS: dict[str, Action] = {
    action.name: action
    for action in (
        _public("site.public", "health, static files, language, the API's description"),
        _public("alert.webhook", "Prometheus' alerts, by a token of their own"),
        _public("login", "log in, follow a one-time link, ask for a reset"),
        _self("own.session", "log out, own sessions, own device, own password"),
        _role("desk.read", _V, "see signals, plans, positions, orders, fills, performance"),
        _role("market.read", _V, "see instruments, bars, book features, decisions"),
        _role("risk.read", _V, "see limits and their use, halts, locks"),
        _role("config.read", _V, "see the strategy's configuration and stages"),
        _role("research.read", _V, "see backtests, sweeps and calibrations"),
        _role("reconciliation.read", _V, "see reconciliation runs and findings"),
        _role("health.read", _V, "see processes, queues, lags and the doctor's report"),
        _role("signal.place", _T, "place a signal"),
        _role("plan.close", _T, "close a plan, move its stop to break-even, cancel its entries"),
        _role("order.cancel", _T, "cancel an order"),
        _role("auto.grant", _T, "let signals of a symbol be placed automatically for a while", code_within_s=_NOW),
        _role("auto.revoke", _T, "end automatic placing of a symbol"),
        _role("research.run", _T, "start or cancel a backtest, sweep or calibration"),
        _role("halt", _T, "HALT: no new risk, resting entries cancelled"),
        _role("reconciliation.run", _T, "start a reconciliation, treat a finding"),
        _role("demo.faults", _T, "break the simulated exchange (demo only)"),
        _role("flatten", _A, "close everything at the market", code_within_s=_NOW),
        _role("rearm", _A, "trade again after a halt", code_within_s=_NOW),
        _role("limits.change", _A, "change risk limits", code_within_s=_NOW),
        _role("config.change", _A, "change strategy configuration or schedules"),
        _role("calibration.activate", _A, "make a calibration the one in use", code_within_s=_NOW),
        _role("stage.change", _A, "change the trading stage, override validation", code_within_s=_NOW),
        _role("users.read", _A, "see users"),
        _role("users.change", _A, "add users, change roles, deactivate, reset devices", code_within_s=_NOW),
        _role("keys.read", _A, "see exchange keys (never their secret)"),
        _role("keys.change", _A, "add, rotate or deactivate an exchange key", code_within_s=_NOW),
        _role("audit.read", _A, "search, verify and export the audit trail"),
        _role("admin.site", _A, "the configuration pages of Django's admin", code_within_s=_RECENTLY),
    )
}

# Routes of other people's code, by the start of their path (without the leading slash). Longest match wins.
EXTERNAL_ROUTES: dict[str, str] = {
    "health": "site.public",
    "ready": "site.public",
    "metrics": "site.public",
    "i18n/": "site.public",
    "static/": "site.public",
    "admin/": "admin.site",
    "admin/logout/": "own.session",
    "api/schema/": "site.public",
    "api/docs/": "site.public",
}


class UndeclaredAction(LookupError):
    """A door that names no action, or one the table does not know."""


def action_named(name: str) -> Action:
    try:
        return ACTIONS[name]
    except KeyError:
        raise UndeclaredAction(f"the permission table has no action {name!r}") from None
