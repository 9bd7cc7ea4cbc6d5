"""Which of our processes live, and what people call them."""

from django.utils.translation import gettext_lazy

from avigrid.common.heartbeats import ProcessLife

STALE_PROCESS_S = 10.0
STALE_WORKER_S = 40.0
"""Its sign of life is a job of every 10 s that may stand in a queue."""

_LABELS = {
    "market_data": gettext_lazy("market data"),
    "execution": gettext_lazy("execution"),
    "watchdog": gettext_lazy("watchdog"),
    "worker": gettext_lazy("worker"),
    "beat": gettext_lazy("scheduler"),
}


def process_label(process: str) -> str:
    """Heartbeats are named `kind:which`; people say the kind, and which only where it is no machine name."""
    kind, _, which = process.partition(":")
    name = str(_LABELS.get(kind, kind.replace("_", " ")))
    return f"{name} {which}" if which.isdecimal() and which != "1" else name


def is_alive(life: ProcessLife) -> bool:
    return life.age_s <= (STALE_WORKER_S if life.process.startswith("worker") else STALE_PROCESS_S)
