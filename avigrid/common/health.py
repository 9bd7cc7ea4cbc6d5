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
    """Each new life of the market-data process has a row of its own: the liveliest speaks for its kind."""
    ages: dict[str, list[float]] = {}
    for life in heartbeats.lives():
        ages.setdefault(life.process.split(":")[0], []).append(life.age_s)
    report = {}
    for process in ("market_data", "execution"):
        age = min(ages.get(process, ()), default=None)
        if age is None:
            report[process] = "never seen"
        else:
            report[process] = "ok" if age <= STALE_AFTER_S else f"silent for {age:.0f} s"
    return report
