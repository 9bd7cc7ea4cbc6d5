"""What was noticed after a moment: findings, comparisons, unproven orders, alerts, incidents of the process."""

from dataclasses import dataclass
from datetime import UTC, datetime

from avigrid.common import heartbeats
from trading.models import OrderEvent, OutboxEvent, ReconciliationFinding, ReconciliationRun
from trading.selectors.exchange_time import process_name

_TOLD_RUNS = ("start", "reconnect", "manual")
_MOST_EVENTS = 40
_MOST_ALERTS = 20


@dataclass(frozen=True, slots=True)
class Consequence:
    """`after_s`: seconds from the fault. `stage`: detect, repair or proof."""

    after_s: float
    stage: str
    text: str


@dataclass(frozen=True, slots=True)
class Span:
    account_id: int
    since: datetime
    until: datetime

    def at(self, moment: datetime, stage: str, text: str) -> Consequence:
        return Consequence((moment - self.since).total_seconds(), stage, text)


def consequences(span: Span, incident_kinds: frozenset[str]) -> list[Consequence]:
    """In the order of time; of the incidents those of the given kinds."""
    found = [
        *_of_findings(span),
        *_of_runs(span),
        *_of_orders(span),
        *_of_alerts(span),
        *_of_incidents(span, incident_kinds),
    ]
    return sorted(found, key=lambda row: row.after_s)


def new_life(span: Span) -> list[Consequence]:
    """The supervisor hears of a child's end at once; what it did about it is the child's new life."""
    life = heartbeats.started_at(process_name(span.account_id))
    if life is None or not span.since <= life < span.until:
        return []
    return [
        span.at(life, "detect", "the supervisor saw the execution process fall"),
        span.at(life, "repair", "the supervisor started the execution process again"),
    ]


def _of_findings(span: Span) -> list[Consequence]:
    found = []
    for finding in ReconciliationFinding.objects.filter(
        account_id=span.account_id, detected_at__gte=span.since, detected_at__lt=span.until
    ):
        found.append(span.at(finding.detected_at, "detect", finding.sentence))
        if finding.repaired_at:
            found.append(span.at(finding.repaired_at, "repair", finding.action or finding.resolution))
            if finding.proof:
                found.append(span.at(finding.repaired_at, "proof", finding.proof))
    return found


def _of_runs(span: Span) -> list[Consequence]:
    found = []
    for run in ReconciliationRun.objects.filter(
        account_id=span.account_id, scope__in=_TOLD_RUNS, started_at__gte=span.since, started_at__lt=span.until
    ):
        counts = ", ".join(f"{name} {count}" for name, count in run.counts.items())
        told = f"{run.status}: books compared ({counts})"
        if run.status == "incomplete":  # it proves nothing: it was cut off by what is being told here
            found.append(span.at(run.finished_at or run.started_at, "detect", told))
            continue
        found.append(span.at(run.started_at, "repair", f"reconciliation ({run.scope}) begins"))
        if run.finished_at:
            found.append(span.at(run.finished_at, "proof", told))
    return found


def _of_orders(span: Span) -> list[Consequence]:
    found = []
    events = OrderEvent.objects.filter(order__account_id=span.account_id, at__gte=span.since, at__lt=span.until)
    for event in events.select_related("order").order_by("id")[:_MOST_EVENTS]:
        order = f"{event.order.symbol} {event.order.role}"
        if event.to_status == "unknown":
            found.append(span.at(event.at, "detect", f"{order}: outcome unknown, exposure stays reserved"))
        elif event.from_status == "unknown":
            found.append(span.at(event.at, "repair", f"{order}: the exchange was asked for it"))
            text = f"{order}: proven {event.to_status} ({event.evidence[:80]})"
            found.append(span.at(event.at, "proof", text))
    return found


def _of_alerts(span: Span) -> list[Consequence]:
    alerts = OutboxEvent.objects.filter(created_at__gte=span.since, created_at__lt=span.until).exclude(
        kind__in=("plan_opened", "plan_closed", "reconciliation")
    )
    return [
        span.at(alert.created_at, "detect", str(alert.payload.get("sentence", alert.kind)))
        for alert in alerts[:_MOST_ALERTS]
    ]


def _of_incidents(span: Span, kinds: frozenset[str]) -> list[Consequence]:
    """As the execution process tells them with its heartbeat."""
    wanted = process_name(span.account_id)
    life = next((row for row in heartbeats.lives() if row.process == wanted), None)
    told = life.detail.get("incidents", []) if life else []
    found = []
    for row in told if isinstance(told, list) else []:
        if row["kind"] not in kinds or not span.since <= _moment(row["detected_ms"]) < span.until:
            continue
        for stage, text in _sentences(row["kind"], row["what"], row["count"]).items():
            if row[f"{_FIELDS[stage]}_ms"] is not None:
                found.append(span.at(_moment(row[f"{_FIELDS[stage]}_ms"]), stage, text))
    return found


_FIELDS = {"detect": "detected", "repair": "repaired", "proof": "proven"}


def _sentences(kind: str, what: str, count: int) -> dict[str, str]:
    if kind == "rate_limited":
        return {
            "detect": f"{what}: refused as too many (10006)",
            "repair": f"refused calls: {count}; each kind waits until its window moved on",
            "proof": "every refused kind of call is answered again",
        }
    if kind == "clock_step":
        return {
            "detect": f"the exchange's clock is not where it should be ({what})",
            "repair": "measured anew: stamps and deadlines count from there",
            "proof": "the next measurement agrees",
        }
    if kind == "stream_down":
        return {"detect": "the private stream is down: no entry until it is heard again", "repair": "connected again"}
    return {
        "detect": f"executions told again: {count}",
        "repair": "set aside by their execution numbers",
        "proof": "each of them is in the books once",
    }


def _moment(time_ms: int) -> datetime:
    return datetime.fromtimestamp(time_ms / 1000, UTC)
