"""What was broken on purpose in the demo, and how it was detected, repaired and proven, with the seconds each took."""

import json
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.core.cache import cache
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from avigrid.common import heartbeats
from trading.models import Fill, OrderEvent, OutboxEvent, ReconciliationFinding, ReconciliationRun
from trading.selectors.exchange_time import process_name

KEY = "demo-faults"
KEEP_S = 3_600
NOTES = 6
WATCHED_S = 90.0
_TOLD_RUNS = ("start", "reconnect", "manual")
_WAITING = ("lost_ack", "duplicate_fill")
"""They strike with the next order, whatever is broken in between."""


TITLES = {
    "kill_execution": _("Kill the execution process"),
    "drop_stream": _("Drop the private stream"),
    "lost_ack": _("Lose the next acknowledgement"),
    "duplicate_fill": _("Tell the next fills twice"),
    "rate_limit": _("10006 storm"),
    "clock_skew": _("Skew the exchange's clock"),
    "clear": _("Switch every fault off"),
}


@dataclass(frozen=True, slots=True)
class FaultNote:
    """`kind` is the simulated exchange's name of it, "" for what is done to us; `struck` how often it had struck."""

    name: str
    at: datetime
    kind: str = ""
    struck: int = 0

    @property
    def title(self) -> "str | Promise":
        return TITLES.get(self.name, self.name)


@dataclass(frozen=True, slots=True)
class Consequence:
    """`after_s`: seconds from the fault. `stage`: detect, repair or proof."""

    after_s: float
    stage: str
    text: str


@dataclass(frozen=True, slots=True)
class FaultStory:
    note: FaultNote
    consequences: Sequence[Consequence]
    strikes: int | None
    """Since the click; None where nobody counts."""


def fault_stories(account_id: int) -> list[FaultStory]:
    """Newest first; a story ends where the next fault began, at most WATCHED_S after its own; see _WAITING."""
    try:
        notes: list[FaultNote] = cache.get(KEY) or []
    except Exception:
        notes = []
    struck = struck_counts() if notes else {}
    stories, end = [], None
    for note in notes:
        last = note.at + timedelta(seconds=WATCHED_S)
        if end is not None and note.name not in _WAITING:
            last = min(last, end)
        strikes = max(struck.get(note.kind, 0) - note.struck, 0) if note.kind else None
        stories.append(FaultStory(note, _consequences(account_id, note, last), strikes))
        end = note.at
    return stories


def struck_counts() -> dict[str, int]:
    """How often each fault struck since the simulated exchange began; empty where it does not answer."""
    try:
        url = f"{settings.AVIGRID['SIMULATOR_URL']}/sim/faults"
        with urllib.request.urlopen(url, timeout=1) as answer:  # noqa: S310 - our own exchange on loopback
            return {str(name): int(count) for name, count in json.load(answer)["struck"].items()}
    except (OSError, ValueError, KeyError):
        return {}


def _consequences(account_id: int, note: FaultNote, until: datetime) -> list[Consequence]:
    def after(at: datetime) -> float:
        return (at - note.at).total_seconds()

    found = []
    for finding in ReconciliationFinding.objects.filter(
        account_id=account_id, detected_at__gte=note.at, detected_at__lt=until
    ):
        found.append(Consequence(after(finding.detected_at), "detect", finding.sentence))
        if finding.repaired_at:
            found.append(Consequence(after(finding.repaired_at), "repair", finding.action or finding.resolution))
            if finding.proof:
                found.append(Consequence(after(finding.repaired_at), "proof", finding.proof))
    for run in ReconciliationRun.objects.filter(
        account_id=account_id, scope__in=_TOLD_RUNS, started_at__gte=note.at, started_at__lt=until
    ):
        found.append(Consequence(after(run.started_at), "detect", f"reconciliation ({run.scope}) begins"))
        if run.finished_at:
            counts = ", ".join(f"{name} {count}" for name, count in run.counts.items())
            found.append(Consequence(after(run.finished_at), "proof", f"{run.status}: books compared ({counts})"))
    events = OrderEvent.objects.filter(order__account_id=account_id, at__gte=note.at, at__lt=until)
    for event in events.select_related("order").order_by("id")[:40]:
        if event.to_status == "unknown":
            text = f"{event.order.symbol} {event.order.role}: outcome unknown, exposure stays reserved"
            found.append(Consequence(after(event.at), "detect", text))
        elif event.from_status == "unknown":
            text = f"{event.order.symbol} {event.order.role}: proven {event.to_status} ({event.evidence[:80]})"
            found.append(Consequence(after(event.at), "proof", text))
    for alert in OutboxEvent.objects.filter(created_at__gte=note.at, created_at__lt=until).exclude(
        kind__in=("plan_opened", "plan_closed", "reconciliation")
    )[:20]:
        found.append(Consequence(after(alert.created_at), "detect", str(alert.payload.get("sentence", alert.kind))))
    if note.name == "duplicate_fill":
        found += _booked_once(account_id, note, until)
    if note.name == "kill_execution":
        found += _new_life(account_id, note, until)
    return sorted(found, key=lambda row: row.after_s)


def _booked_once(account_id: int, note: FaultNote, until: datetime) -> list[Consequence]:
    fills = Fill.objects.filter(account_id=account_id, booked_at__gte=note.at, booked_at__lt=until).order_by("pk")[:10]
    return [
        Consequence(
            (fill.booked_at - note.at).total_seconds(),
            "proof",
            f"{fill.symbol} {fill.side} {fill.quantity.normalize():f}: execution {fill.exec_id[:8]} is booked once",
        )
        for fill in fills
    ]


def _new_life(account_id: int, note: FaultNote, until: datetime) -> list[Consequence]:
    life = heartbeats.started_at(process_name(account_id))
    if life is None or not note.at <= life < until:
        return []
    return [
        Consequence((life - note.at).total_seconds(), "repair", "the supervisor started the execution process again")
    ]
