"""What monitoring sees of risk. Counted when decided, even if the surrounding transaction is rolled back later."""

from prometheus_client import Counter, Histogram

DECISIONS = Counter("avigrid_risk_decisions_total", "Risk decisions", ["kind", "ruling"])
REFUSALS = Counter("avigrid_risk_refusals_total", "Checks that refused", ["code"])
DECISION_SECONDS = Histogram(
    "avigrid_risk_decision_seconds",
    "Lock, reading and verdict of one decision",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 1),
)
STATE_CHANGES = Counter("avigrid_trading_state_changes_total", "Changes of the trading state", ["state", "source"])
