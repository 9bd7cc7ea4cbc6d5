"""What should have spoken and did not: processes and reconciliation. Each silence is told once, when it begins."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import F
from django.db.models.functions import Now

from accounts.selectors.trading_accounts import trading_accounts
from avigrid.common.models import Heartbeat
from trading.models import ReconciliationRun
from trading.selectors.exchange_time import exchange_time
from trading.services.alerts import alert_raise

PROCESS_SILENCE_S = 30.0
RECONCILIATION_SILENCE = timedelta(minutes=5)
FORGOTTEN_S = 7 * 86_400.0
"""A process of last week is not missed any more."""

_GRAVE = ("execution", "market_data")
_GOOD = ("good", "findings")


@dataclass(frozen=True, slots=True)
class Life:
    what: str
    age_s: float
    since: datetime


def process_lives() -> list[Life]:
    """Of several processes of one kind, the liveliest speaks for all; each account has its own execution process."""
    newest: dict[str, Life] = {}
    for row in Heartbeat.objects.annotate(age=Now() - F("beat_at")):
        kind = row.process.split(":")[0]
        name = row.process if kind in ("execution", "watchdog") else kind
        life = Life(name, row.age.total_seconds(), row.beat_at)
        if name not in newest or life.age_s < newest[name].age_s:
            newest[name] = life
    return [newest[name] for name in sorted(newest) if newest[name].age_s < FORGOTTEN_S]


def silence_watch(*, now: datetime) -> int:
    """Returns how many alerts were raised."""
    raised = 0
    for life in process_lives():
        if life.age_s <= PROCESS_SILENCE_S:
            continue
        event = alert_raise(
            kind="heartbeat_stale",
            severity="critical" if life.what.split(":")[0] in _GRAVE else "warning",
            dedupe_key=f"{life.what}:{life.since.isoformat()}",
            sentence=f"{life.what.replace('_', ' ')} has been silent for {life.age_s:.0f} s.",
            now=now,
            process=life.what,
        )
        raised += event is not None
    for account in trading_accounts():
        raised += _reconciliation(account.pk, account.label, now)
    return raised


def reconciliation_age_s(account_id: int, now: datetime) -> float | None:
    """Since the last run that came to an end with answers; None where none ever did."""
    last = _last_run(account_id)
    return None if last is None or last.finished_at is None else max((now - last.finished_at).total_seconds(), 0.0)


def _last_run(account_id: int) -> ReconciliationRun | None:
    return ReconciliationRun.objects.filter(account_id=account_id, status__in=_GOOD, finished_at__isnull=False).first()


def _reconciliation(account_id: int, label: str, now: datetime) -> bool:
    """Only while its execution process lives: a silent one is told as such."""
    last = _last_run(account_id)
    at = exchange_time(account_id)
    if last is None or last.finished_at is None or at is None or at.is_stale:
        return False
    if now - last.finished_at <= RECONCILIATION_SILENCE:
        return False
    minutes = (now - last.finished_at).total_seconds() / 60
    event = alert_raise(
        kind="reconciliation_stale",
        severity="critical",
        dedupe_key=f"{account_id}:{last.pk}",
        sentence=f"{label}: the last good reconciliation was {minutes:.0f} min ago; new risk is refused.",
        now=now,
        account_id=account_id,
    )
    return event is not None
