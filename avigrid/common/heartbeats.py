"""Signs of life of our processes, kept in the database because it is the one part everything needs."""

import os
import socket
import time
from dataclasses import dataclass
from datetime import datetime

from django.db.models import F
from django.db.models.functions import Now

from avigrid.common import metrics
from avigrid.common.models import Heartbeat
from avigrid.common.reading import read_once


@dataclass(frozen=True, slots=True)
class ProcessLife:
    process: str
    age_s: float
    pid: int
    host: str
    uptime_s: float
    detail: dict[str, object]


def beat(process: str, detail: dict[str, object] | None = None, *, started: bool = False) -> None:
    """Write now(), the database's; `started` begins a new life of this process."""
    fields = {"beat_at": Now(), "pid": os.getpid(), "host": socket.gethostname(), "detail": detail or {}}
    if started:
        fields["started_at"] = Now()
    if not Heartbeat.objects.filter(process=process).update(**fields):
        Heartbeat.objects.update_or_create(process=process, defaults={**fields, "started_at": Now()})
    metrics.HEARTBEAT.labels(process=process).set(time.time())  # noqa: TID251


@read_once
def lives() -> list[ProcessLife]:
    rows = Heartbeat.objects.annotate(age=Now() - F("beat_at"), uptime=F("beat_at") - F("started_at")).order_by(
        "process"
    )
    return [
        ProcessLife(row.process, row.age.total_seconds(), row.pid, row.host, row.uptime.total_seconds(), row.detail)
        for row in rows
    ]


def age_s(process: str) -> float | None:
    """Seconds since the last beat, None where there never was one."""
    return next((life.age_s for life in lives() if life.process == process), None)


def started_at(process: str) -> datetime | None:
    """When its present life began."""
    return Heartbeat.objects.filter(process=process).values_list("started_at", flat=True).first()
