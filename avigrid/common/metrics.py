"""Counters of the ground floor, and the endpoint of processes that are not the web."""

import structlog
from django.conf import settings
from prometheus_client import Counter, Gauge, start_http_server

PUSHED = Counter("avigrid_push_total", "Events sent to screens", ["kind", "outcome"])
HEARTBEAT = Gauge("avigrid_heartbeat_timestamp_seconds", "Unix time of the last heartbeat", ["process"])

log = structlog.get_logger(__name__)


def serve() -> None:
    """Expose this process on AVIGRID_METRICS_PORT (0 = not at all). A taken port is logged, never fatal."""
    port = settings.AVIGRID["METRICS_PORT"]
    if not port:
        return
    try:
        start_http_server(port, addr=settings.AVIGRID["METRICS_HOST"])
    except OSError as error:
        log.warning("metrics_port_taken", port=port, error=str(error))
