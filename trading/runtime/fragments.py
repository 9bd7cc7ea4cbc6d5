"""The fragments of the operator's pages: what each shows and which events make it wrong."""

from trading.models import Plan
from trading.runtime.screen import Context, registry
from trading.selectors import (
    alerts,
    auto_mode,
    chart_levels,
    decisions,
    demo_faults,
    desk,
    findings,
    health,
    newer,
    plan_timeline,
    ranges,
    research_page,
    results,
    risk_page,
    symbols,
    top_bar,
)


def _top_bar(role: str) -> Context:
    return {"bar": top_bar.top_bar(), "board": alerts.alert_board()}


def _signals(role: str) -> Context:
    return {"cards": desk.signal_cards()}


def _plans(role: str) -> Context:
    bar_account = desk.primary_account()
    rows = desk.plan_rows(bar_account.pk) if bar_account else []
    return {"rows": rows, "closed": desk.closed_plans(bar_account.pk) if bar_account else []}


def _fills(role: str) -> Context:
    account = desk.primary_account()
    return {"fills": desk.recent_fills(account.pk) if account else []}


def _symbols(role: str) -> Context:
    return {"rows": symbols.symbol_rows()}


def _book(role: str, symbol: str) -> Context:
    return {"book": symbols.book_view(symbol)}


def _tick(role: str, symbol: str) -> Context:
    return {"forming": symbols.forming_bar(symbol)}


def _levels(role: str, symbol: str) -> Context:
    account = desk.primary_account()
    return {"levels_version": chart_levels.version(symbol, account.pk if account else None)}


def _symbol_decisions(role: str, symbol: str) -> Context:
    return {"symbol": symbol, "decisions": decisions.decision_page(symbol=symbol, count=12).rows}


def _plan_of(plan_id: str) -> Plan | None:
    return Plan.objects.select_related("placed_by").filter(pk=int(plan_id) if plan_id.isdecimal() else 0).first()


def _plan_facts(role: str, plan_id: str) -> Context:
    plan = _plan_of(plan_id)
    return {"plan": plan, "facts": plan_timeline.plan_facts(plan)} if plan else {}


def _plan(role: str, plan_id: str) -> Context:
    plan = _plan_of(plan_id)
    return {"plan": plan, "story": plan_timeline.plan_story(plan)} if plan else {}


def _plans_table(role: str, filters: str) -> Context:
    """`filters`: which and symbol, `all-BTCUSDT`. Only the newest page of them lives."""
    account = desk.primary_account()
    which, _, symbol = ("" if part == "all" else part for part in filters.partition("-"))
    found = (
        plan_timeline.plan_page(account.pk, which=which, symbol=symbol) if account else plan_timeline.PlanPage((), "")
    )
    return {"found": found, "which": which, "symbol": symbol, "is_first": True}


def _totals(role: str, chosen: str) -> Context:
    account = desk.primary_account()
    if account is None or chosen not in ranges.RANGES:
        return {"totals": results.totals([])}
    since, _now = ranges.range_since(account.pk, chosen)
    return {"totals": results.totals(results.closed_plans_since(account.pk, since))}


def _alerts(role: str) -> Context:
    return {"board": alerts.alert_board()}


def _alert_list(role: str) -> Context:
    return {"told": alerts.told_lately()}


def _newer(role: str, topic: str) -> Context:
    return {"mark": newer.mark_of(topic, role)}


def _risk(role: str) -> Context:
    account = desk.primary_account()
    return {"risk": risk_page.risk_page(account.pk) if account else None}


def _auto_modes(role: str) -> Context:
    account = desk.primary_account()
    modes = auto_mode.auto_modes_shown(account.pk) if account else []
    return {"modes": modes, "may_trade": role in ("trader", "admin")}


def _limits(role: str) -> Context:
    account = desk.primary_account()
    return {"risk": risk_page.limits_in_force(account.pk) if account else None}


def _health(role: str) -> Context:
    account = desk.primary_account()
    return {"health": health.health(account.pk if account else None)}


def _reconciliation(role: str) -> Context:
    account = desk.primary_account()
    return {"view": findings.reconciliation_view(account.pk if account else None)}


def _research(role: str) -> Context:
    return {"rows": research_page.run_rows()}


def _research_run(role: str, run_id: str) -> Context:
    return {"row": research_page.run_row(int(run_id) if run_id.isdecimal() and len(run_id) < 19 else 0)}


def _faults(role: str) -> Context:
    account = desk.primary_account()
    return {"stories": demo_faults.fault_stories(account.pk) if account else []}


registry.add(
    "topbar",
    "trading/partials/_topbar.html",
    _top_bar,
    dirtied_by={
        "plan",
        "fill",
        "trading_state",
        "auto_mode",
        "finding",
        "reconciliation",
        "heartbeat",
        "price",
        "alert",
    },
)
registry.add(
    "signals", "trading/partials/_signals.html", _signals, dirtied_by={"signal", "decision", "trading_state", "price"}
)
registry.add("plans", "trading/partials/_plans.html", _plans, dirtied_by={"plan", "order", "fill", "price"})
registry.add("fills", "trading/partials/_fills.html", _fills, dirtied_by={"fill"})
registry.add("symbols", "trading/partials/_symbols.html", _symbols, dirtied_by={"decision", "signal", "plan", "price"})
registry.add_family("book", "trading/partials/_book.html", _book, key="symbol", dirtied_by={"price"})
registry.add_family("tick", "trading/partials/_tick.html", _tick, key="symbol", dirtied_by={"price"})
registry.add_family(
    "levels",
    "trading/partials/_levels.html",
    _levels,
    key="symbol",
    dirtied_by={"plan", "order", "fill", "signal"},
)
registry.add_family(
    "decisions",
    "trading/partials/_symbol_decisions.html",
    _symbol_decisions,
    key="symbol",
    dirtied_by={"decision", "signal"},
)
registry.add_family(
    "plan_facts",
    "trading/partials/_plan_facts.html",
    _plan_facts,
    key="plan_id",
    dirtied_by={"plan", "order", "fill", "price", "heartbeat"},
)
registry.add_family(
    "plan",
    "trading/partials/_plan_story.html",
    _plan,
    key="plan_id",
    dirtied_by={"plan", "order", "fill"},
)
registry.add("alerts", "trading/partials/_alerts.html", _alerts, dirtied_by={"alert"})
registry.add("alert_list", "trading/partials/_alert_list.html", _alert_list, dirtied_by={"alert"})
registry.add_family(
    "newer",
    "trading/partials/_newer.html",
    _newer,
    key="topic",
    dirtied_by={"decision", "fill", "plan", "strategy", "heartbeat"},
)
registry.add_family(
    "plans_table",
    "trading/partials/_plans_table.html",
    _plans_table,
    key="filters",
    dirtied_by={"plan", "order", "fill", "heartbeat"},
)
registry.add_family("totals", "trading/partials/_totals.html", _totals, key="range", dirtied_by={"plan", "fill"})
registry.add("limits", "trading/partials/_limits.html", _limits, dirtied_by={"heartbeat"})
registry.add(
    "risk",
    "trading/partials/_risk.html",
    _risk,
    dirtied_by={"plan", "fill", "trading_state", "risk_limits", "heartbeat"},
)
registry.add(
    "auto_modes",
    "trading/partials/_auto_modes.html",
    _auto_modes,
    dirtied_by={"auto_mode", "trading_state", "heartbeat"},
)
registry.add("health", "trading/partials/_health.html", _health, dirtied_by={"price", "heartbeat"})
registry.add(
    "faults",
    "trading/partials/_faults.html",
    _faults,
    dirtied_by={"demo_fault", "finding", "reconciliation", "alert", "order"},
)
registry.add("research", "trading/partials/_research.html", _research, dirtied_by={"research"})
registry.add_family(
    "research_run", "trading/partials/_research_run.html", _research_run, key="id", dirtied_by={"research"}
)
registry.add(
    "reconciliation",
    "trading/partials/_reconciliation.html",
    _reconciliation,
    dirtied_by={"finding", "reconciliation"},
)
