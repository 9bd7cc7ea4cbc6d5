"""How the admin looks and what its side bar holds. The colours are those of the desk: css/tokens.css and light.css."""

from django.urls import reverse_lazy
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _


def _static(name: str) -> object:
    from django.templatetags.static import static

    return lambda request: static(name)


def _item(title: str | Promise, icon: str, url: str) -> dict[str, object]:
    return {"title": title, "icon": icon, "link": reverse_lazy(url)}


def _list(title: str | Promise, icon: str, model: str) -> dict[str, object]:
    """All rows of a model, by its app and name."""
    return _item(title, icon, f"admin:{model}_changelist")


def _group(title: str | Promise, *items: dict[str, object]) -> dict[str, object]:
    return {"title": title, "separator": True, "collapsible": False, "items": list(items)}


def _records(title: str | Promise, *items: dict[str, object]) -> dict[str, object]:
    """What is looked up now and then: closed until it is wanted."""
    return {**_group(title, *items), "collapsible": True}


UNFOLD = {
    "SITE_TITLE": "AviGrid",
    "SITE_HEADER": "AviGrid",
    "SITE_SUBHEADER": _("Configuration and records"),
    "SITE_SYMBOL": "candlestick_chart",
    "SITE_URL": "/",
    "SITE_FAVICONS": [
        {"rel": "icon", "type": "image/svg+xml", "href": _static("avigrid/img/favicon.svg")},
    ],
    "SHOW_HISTORY": True,
    "SHOW_VIEW_ON_SITE": True,
    "BORDER_RADIUS": "4px",
    "STYLES": [_static("avigrid/css/admin.css")],
    "SCRIPTS": [_static("avigrid/js/admin-theme.js")],
    "ENVIRONMENT": "trading.views.admin_dashboard.environment",
    "DASHBOARD_CALLBACK": "trading.views.admin_dashboard.dashboard",
    "COLORS": {
        "base": {
            "50": "#f4f5f7",
            "100": "#eef0f3",
            "200": "#d6dae0",
            "300": "#c3cad3",
            "400": "#a9b2be",
            "500": "#5d6875",
            "600": "#47515e",
            "700": "#46505e",
            "800": "#2b323c",
            "900": "#161a20",
            "950": "#0f1216",
        },
        "primary": {
            "50": "#eef6ff",
            "100": "#d9ebff",
            "200": "#bcdcff",
            "300": "#93c6ff",
            "400": "#6cb2ff",
            "500": "#6cb2ff",
            "600": "#0b62c4",
            "700": "#0a55ab",
            "800": "#0b488f",
            "900": "#0f3d74",
            "950": "#0a2748",
        },
        "font": {
            "subtle-light": "#5d6875",
            "subtle-dark": "#a9b2be",
            "default-light": "#47515e",
            "default-dark": "#c3cad3",
            "important-light": "#14181d",
            "important-dark": "#e7eaee",
        },
    },
    "SIDEBAR": {
        "show_search": True,
        "show_all_applications": False,
        "navigation": [
            _group(
                _("Desk"),
                {**_item(_("To the desk"), "space_dashboard", "trading:desk"), "active": False},
                _item(_("Overview"), "home", "admin:index"),
            ),
            _group(
                _("People and keys"),
                _list(_("People"), "group", "accounts_user"),
                _list(_("Trading accounts"), "account_balance", "accounts_tradingaccount"),
                _list(_("Exchange keys"), "key", "accounts_apikey"),
                _list(_("Audit trail"), "history_edu", "accounts_auditentry"),
                _list(_("Log-ins"), "login", "axes_accesslog"),
                _list(_("Failed log-ins"), "lock_person", "axes_accessattempt"),
            ),
            _group(
                _("Configuration"),
                _list(_("Strategy versions"), "tune", "trading_strategyversion"),
                _list(_("Risk limits"), "shield", "risk_risklimitsversion"),
                _list(_("Instruments"), "list_alt", "marketdata_instrument"),
                _list(_("Notification channels"), "notifications", "trading_notificationchannel"),
            ),
            _records(
                _("Trading records"),
                _list(_("Decisions"), "rule", "trading_decision"),
                _list(_("Signals"), "bolt", "trading_signal"),
                _list(_("Plans"), "assignment", "trading_plan"),
                _list(_("Orders"), "receipt_long", "trading_order"),
                _list(_("Fills"), "done_all", "trading_fill"),
                _list(_("Positions"), "stacked_line_chart", "trading_position"),
                _list(_("Ledger"), "account_balance_wallet", "trading_ledgerentry"),
                _list(_("Equity"), "show_chart", "trading_equitysnapshot"),
                _list(_("Fee rates"), "percent", "trading_accountfeerates"),
                _list(_("Slippage"), "speed", "trading_slippagerecord"),
                _list(_("Research runs"), "science", "trading_researchrun"),
            ),
            _records(
                _("Risk records"),
                _list(_("Trading states"), "toggle_on", "risk_tradingstate"),
                _list(_("Kill-switch history"), "power_settings_new", "risk_tradingstatechange"),
                _list(_("Risk decisions"), "gavel", "risk_riskdecision"),
                _list(_("Meters"), "straighten", "risk_accountmeter"),
            ),
            _records(
                _("Operations"),
                _list(_("Reconciliation runs"), "sync", "trading_reconciliationrun"),
                _list(_("Findings"), "troubleshoot", "trading_reconciliationfinding"),
                _list(_("Outbox"), "outgoing_mail", "trading_outboxevent"),
            ),
            _records(
                _("Market data"),
                _list(_("Bars"), "candlestick_chart", "marketdata_kline"),
                _list(_("Corrections"), "edit_note", "marketdata_klinecorrection"),
                _list(_("Book features"), "bar_chart", "marketdata_bookfeature"),
                _list(_("Public trades"), "swap_vert", "marketdata_publictrade"),
                _list(_("Funding rates"), "percent", "marketdata_fundingrate"),
                _list(_("Gaps"), "broken_image", "marketdata_datagap"),
                _list(_("Order-book logs"), "layers", "marketdata_orderbooklog"),
                _list(_("Backfills"), "download", "marketdata_backfillrun"),
            ),
        ],
    },
}
