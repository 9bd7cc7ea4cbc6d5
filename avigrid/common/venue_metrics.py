"""How the exchange answers, for Prometheus: every REST call of this process, by call and outcome."""

from prometheus_client import Counter, Histogram

CALLS = Counter("avigrid_venue_calls_total", "REST calls to the exchange", ["call", "outcome"])
SECONDS = Histogram(
    "avigrid_venue_call_seconds",
    "Time on the wire of one REST call",
    ["call"],
    buckets=(0.01, 0.025, 0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 1, 2, 5, 10),
)


def observe(call: str, seconds: float, outcome: str) -> None:
    """`outcome` is "ok" or the error's code: what the REST client tells its `on_call`."""
    CALLS.labels(call=call, outcome=outcome).inc()
    SECONDS.labels(call=call).observe(seconds)
