"""What the execution process tells Prometheus."""

from prometheus_client import Counter, Gauge, Histogram

UNPROTECTED = Gauge("avigrid_unprotected_qty", "Held without a confirmed stop; the only good value is 0", ["symbol"])
ORDERS = Counter("avigrid_orders_total", "Orders by what the venue answered", ["role", "outcome"])
FILLS = Counter("avigrid_fills_total", "Executions booked", ["source"])
UNKNOWN = Gauge("avigrid_unknown_orders", "Orders whose outcome is unproven")
BOOKING = Histogram(
    "avigrid_fill_to_commit_seconds",
    "Fill frame received to position committed",
    buckets=(0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2, 5),
)
STOP_DELAY = Histogram(
    "avigrid_fill_to_stop_seconds",
    "Fill committed to stop confirmed at the venue",
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10),
)
QUEUE = Gauge("avigrid_execution_queue", "Items waiting in the inbox")
RECONCILIATIONS = Counter("avigrid_reconciliations_total", "Runs by scope and result", ["scope", "status"])
FINDINGS = Counter("avigrid_reconciliation_findings_total", "Findings by kind", ["kind"])
CLOCK_OFFSET = Gauge("avigrid_clock_offset_ms", "Exchange time minus ours")
