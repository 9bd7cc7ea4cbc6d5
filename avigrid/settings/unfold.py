"""How the admin looks and what its side bar holds. The colours are those of the desk: css/tokens.css and light.css."""

from django.urls import reverse_lazy
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _


def _static(name: str) -> object:
    from django.templatetags.static import static

    return lambda request: static(name)


def _item(title: str | Promise, icon: str, url: str) -> dict[str, object]:
    return {"title": title, "icon": icon, "link": reverse_lazy(url)}


def _group(title: str | Promise, *items: dict[str, object], closed: bool = False) -> dict[str, object]:
    return {"title": title, "separator": True, "collapsible": closed, "items": list(items)}


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
                _item(_("People"), "group", "admin:accounts_user_changelist"),
                _item(_("Trading accounts"), "account_balance", "admin:accounts_tradingaccount_changelist"),
                _item(_("Exchange keys"), "key", "admin:accounts_apikey_changelist"),
                _item(_("Audit trail"), "history_edu", "admin:accounts_auditentry_changelist"),
                _item(_("Log-ins"), "login", "admin:axes_accesslog_changelist"),
                _item(_("Failed log-ins"), "lock_person", "admin:axes_accessattempt_changelist"),
            ),
            _group(
                _("Configuration"),
                _item(_("Strategy versions"), "tune", "admin:trading_strategyversion_changelist"),
                _item(_("Risk limits"), "shield", "admin:risk_risklimitsversion_changelist"),
                _item(_("Instruments"), "list_alt", "admin:marketdata_instrument_changelist"),
                _item(_("Notification channels"), "notifications", "admin:trading_notificationchannel_changelist"),
            ),
            _group(
                _("Trading records"),
                _item(_("Decisions"), "rule", "admin:trading_decision_changelist"),
                _item(_("Signals"), "bolt", "admin:trading_signal_changelist"),
                _item(_("Plans"), "assignment", "admin:trading_plan_changelist"),
                _item(_("Orders"), "receipt_long", "admin:trading_order_changelist"),
                _item(_("Fills"), "done_all", "admin:trading_fill_changelist"),
                _item(_("Positions"), "stacked_line_chart", "admin:trading_position_changelist"),
                _item(_("Ledger"), "account_balance_wallet", "admin:trading_ledgerentry_changelist"),
                _item(_("Equity"), "show_chart", "admin:trading_equitysnapshot_changelist"),
                _item(_("Slippage"), "speed", "admin:trading_slippagerecord_changelist"),
                _item(_("Research runs"), "science", "admin:trading_researchrun_changelist"),
                closed=True,
            ),
            _group(
                _("Risk records"),
                _item(_("Trading states"), "toggle_on", "admin:risk_tradingstate_changelist"),
                _item(_("Kill-switch history"), "power_settings_new", "admin:risk_tradingstatechange_changelist"),
                _item(_("Risk decisions"), "gavel", "admin:risk_riskdecision_changelist"),
                _item(_("Meters"), "straighten", "admin:risk_accountmeter_changelist"),
                closed=True,
            ),
            _group(
                _("Operations"),
                _item(_("Reconciliation runs"), "sync", "admin:trading_reconciliationrun_changelist"),
                _item(_("Findings"), "troubleshoot", "admin:trading_reconciliationfinding_changelist"),
                _item(_("Outbox"), "outgoing_mail", "admin:trading_outboxevent_changelist"),
                closed=True,
            ),
            _group(
                _("Market data"),
                _item(_("Bars"), "candlestick_chart", "admin:marketdata_kline_changelist"),
                _item(_("Corrections"), "edit_note", "admin:marketdata_klinecorrection_changelist"),
                _item(_("Book features"), "bar_chart", "admin:marketdata_bookfeature_changelist"),
                _item(_("Public trades"), "swap_vert", "admin:marketdata_publictrade_changelist"),
                _item(_("Funding rates"), "percent", "admin:marketdata_fundingrate_changelist"),
                _item(_("Gaps"), "broken_image", "admin:marketdata_datagap_changelist"),
                _item(_("Order-book logs"), "layers", "admin:marketdata_orderbooklog_changelist"),
                _item(_("Backfills"), "download", "admin:marketdata_backfillrun_changelist"),
                closed=True,
            ),
        ],
    },
}
