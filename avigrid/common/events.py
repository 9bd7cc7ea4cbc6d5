"""What `/ws/live/` and the pages are told: every kind of event and the keys of its payload, always all of them.

A payload names things; what they are by now is read again. docs/api.md shows this table, and a test holds both
against every place that sends.
"""

EVENTS: dict[str, tuple[str, ...]] = {
    "alert": ("id", "kind", "severity", "sentence"),
    "auto_mode": ("symbol", "until"),
    "decision": ("symbol", "status"),
    "demo_fault": ("name",),
    "fill": ("fill_id", "plan_id", "symbol", "position_idx"),
    "finding": ("finding_id", "severity", "kind"),
    "order": ("order_id", "plan_id", "status"),
    "plan": ("plan_id", "symbol", "status"),
    "price": (),
    "reconciliation": ("run_id", "scope", "status"),
    "research": ("id", "kind", "status", "done", "of"),
    "risk_limits": ("account_id", "version"),
    "signal": ("signal_id", "symbol", "status", "plan_id"),
    "strategy": ("version", "stage"),
    "trading_state": ("account_id", "symbol", "state", "flatten", "change_id", "source"),
}

PAGES_ONLY = frozenset({"price", "demo_fault"})
"""Reasons to paint again, which say nothing to a program."""
