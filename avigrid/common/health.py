"""/health: this process answers. /ready: what a desk needs is there, named one by one."""

from django.core.cache import cache
from django.db import connection
from django.http import HttpRequest, JsonResponse

from avigrid.common import heartbeats

STALE_AFTER_S = 15.0


def health(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"status": "ok"})


def ready(request: HttpRequest) -> JsonResponse:
    """200 when database, Redis, market stream and execution are alive; 503 otherwise, with the reason of each."""
    checks = {"database": _database(), "redis": _redis()}
    if checks["database"] == "ok":
        checks |= _processes()
    good = all(value == "ok" for value in checks.values())
    return JsonResponse({"status": "ready" if good else "not_ready", "checks": checks}, status=200 if good else 503)


def _database() -> str:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except Exception as error:
        return f"unreachable: {type(error).__name__}"
    return "ok"


def _redis() -> str:
    try:
        cache.set("ready", 1, 5)
        return "ok" if cache.get("ready") == 1 else "does not keep what it is given"
    except Exception as error:
        return f"unreachable: {type(error).__name__}"


def _processes() -> dict[str, str]:
    lives = {life.process.split(":")[0]: life.age_s for life in heartbeats.lives()}
    report = {}
    for process in ("market_data", "execution"):
        age = lives.get(process)
        if age is None:
            report[process] = "never seen"
        else:
            report[process] = "ok" if age <= STALE_AFTER_S else f"silent for {age:.0f} s"
    return report
