"""The worker's own sign of life."""

from celery import shared_task

from avigrid.common import heartbeats


@shared_task(name="common.worker_heartbeat", ignore_result=True)
def worker_heartbeat() -> None:
    """Proves more than a running process: that beat, Redis, a worker and the database work together."""
    heartbeats.beat("worker")
