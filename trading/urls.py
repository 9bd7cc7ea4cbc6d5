"""Pages of the desk and their buttons."""

from django.urls import path

from trading.views import alert_hook, audit, break_it, desk, performance, plans, reconciliation, risk, symbols, system

app_name = "trading"
urlpatterns = [
    path("", desk.desk_page, name="desk"),
    path("halt", desk.halt_view, name="halt"),
    path("hooks/alertmanager", alert_hook.alertmanager_hook, name="alertmanager_hook"),
    path("signals/<int:signal_id>/confirm", desk.signal_confirm, name="signal_confirm"),
    path("signals/<int:signal_id>/place", desk.signal_place_view, name="signal_place"),
    path("symbols/", symbols.symbols_page, name="symbols"),
    path("symbols/<str:symbol>/", symbols.symbol_page, name="symbol"),
    path("symbols/<str:symbol>/chart.json", symbols.symbol_chart, name="symbol_chart"),
    path("symbols/<str:symbol>/rules/<int:bar_s>", symbols.bar_rules, name="bar_rules"),
    path("decisions/", symbols.decisions_page, name="decisions"),
    path("plans/", plans.plans_page, name="plans"),
    path("plans/plans.csv", performance.plans_csv, name="plans_csv"),
    path("plans/<int:plan_id>/", plans.plan_page, name="plan"),
    path("plans/<int:plan_id>/close", desk.plan_close_view, name="plan_close"),
    path("plans/<int:plan_id>/break-even", desk.plan_break_even_view, name="plan_break_even"),
    path("plans/<int:plan_id>/cancel-entries", desk.plan_cancel_entries_view, name="plan_cancel_entries"),
    path("performance/", performance.performance_page, name="performance"),
    path("performance/curve.json", performance.performance_curve, name="performance_curve"),
    path("risk/", risk.risk_page, name="risk"),
    path("risk/rearm", risk.rearm_view, name="rearm"),
    path("risk/flatten", risk.flatten_view, name="flatten"),
    path("system/", system.system_page, name="system"),
    path("audit/", audit.audit_page, name="audit"),
    path("audit/verify", audit.audit_verify, name="audit_verify"),
    path("break-it/", break_it.break_it_page, name="break_it"),
    path("break-it/<slug:name>", break_it.break_it_do, name="break_it_do"),
    path("reconciliation/", reconciliation.reconciliation_page, name="reconciliation"),
]
