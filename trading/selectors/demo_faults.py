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

from trading.selectors.fault_consequences import Consequence, Span, consequences, new_life

KEY = "demo-faults"
KEEP_S = 3_600
NOTES = 6
WATCHED_S = 90.0
STAGES = ("detect", "repair", "proof")
INCIDENTS_OF = {
    "drop_stream": frozenset({"stream_down"}),
    "duplicate_fill": frozenset({"told_again"}),
    "rate_limit": frozenset({"rate_limited"}),
    "clock_skew": frozenset({"clock_step"}),
}
"""Which incidents of the execution process belong to which fault; others have reasons of their own."""
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
    span = Span(account_id, note.at, until)
    found = consequences(span, INCIDENTS_OF.get(note.name, frozenset()))
    if note.name == "kill_execution":
        found += new_life(span)
    return sorted(found, key=lambda row: (row.after_s, STAGES.index(row.stage)))
