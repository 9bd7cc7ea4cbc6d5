"""Background jobs. Schedules live here, where they can be read at a glance; the work lives in the apps' tasks.

Nothing here is on the order path. Every job may run twice, late or not at all; what was missed is made up by the next
run, so a message that has become old is dropped (`expires`) instead of piling up behind a slow worker.
"""

import os

from celery import Celery
from celery.schedules import crontab, schedule
from celery.signals import beat_init, celeryd_init, worker_init

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "avigrid.settings.dev")

app = Celery("avigrid")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()

HOUR_S = 3600.0


def every(seconds: float) -> schedule:
    return schedule(run_every=seconds)


_SCHEDULES: dict[str, schedule | crontab] = {
    # telling people, and noticing what fell silent
    "trading.notifications_deliver": every(3),
    "trading.silence_watch": every(10),
    "common.worker_heartbeat": every(10),
    # safety nets under the processes
    "trading.signals_expire": every(15),
    "marketdata.gaps_sweep": every(300),
    # figures
    "trading.measures_update": every(15),
    "trading.performance_update": every(60),
    "trading.validation_update": every(60),
    "marketdata.rollups_update": every(300),
    "marketdata.funding_update": crontab(minute="7"),
    "marketdata.bars_verify": crontab(minute="17"),
    # research runs whose worker died
    "trading.tend_research": every(60),
    # once a day, when Asia sleeps and Europe has not begun
    "accounts.forget": crontab(hour="2", minute="50"),
    "marketdata.retention": crontab(hour="3", minute="10"),
    "trading.retention": crontab(hour="3", minute="30"),
}

app.conf.beat_schedule = {
    name: {
        "task": name,
        "schedule": when,
        "options": {"expires": when.run_every.total_seconds() if isinstance(when, schedule) else HOUR_S},
    }
    for name, when in _SCHEDULES.items()
}


@worker_init.connect
def _keep_token(**_: object) -> None:
    """One token for this process and its children: whoever renews it, renews it for all."""
    from accounts.ciphers import keep_token

    keep_token()


@worker_init.connect
def _open_metrics(**_: object) -> None:
    """The worker's endpoint also says whether database and Redis answer: it does so while they are away."""
    from avigrid.common import dependencies, metrics

    dependencies.register()
    metrics.serve()


@celeryd_init.connect
def _audit_worker(sender: str, **_: object) -> None:
    """`sender` is the node's name: `celery@host`, `research@host`."""
    from accounts.services.processes import audit_this_process

    audit_this_process(f"worker:{sender}")


@beat_init.connect
def _audit_beat(**_: object) -> None:
    from accounts.services.processes import audit_this_process

    audit_this_process("beat")
