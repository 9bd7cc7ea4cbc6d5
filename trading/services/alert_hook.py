"""Alerts of Prometheus, taken in: told like our own, and some of them pull the kill switch where the operator chose so.

Each occurrence acts once: after a re-arm, repeats of the same one change nothing.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.db import transaction

from accounts.selectors.trading_accounts import trading_accounts
from risk.core.states import State, StateSource
from risk.selectors.guards import effective_state
from risk.services.states import halt
from trading.services.alerts import alert_raise

ACTOR = "alertmanager"


@dataclass(frozen=True, slots=True)
class OutsideAlert:
    """One entry of Alertmanager's message. `account` is the label of a trading account, "" for all."""

    name: str
    severity: str
    summary: str
    is_firing: bool
    occurrence: str
    """Fingerprint and start: the same in every repeat."""
    account: str = ""


@dataclass(frozen=True, slots=True)
class Taken:
    new: int
    halted: int


def outside_alerts_take(*, alerts: Iterable[OutsideAlert], now: datetime) -> Taken:
    """`AVIGRID["ALERT_HALTS"]` names the alerts that halt; an account that is halted already stays as it is."""
    new = halted = 0
    for alert in alerts:
        if not alert.is_firing:
            continue
        with transaction.atomic():
            event = alert_raise(
                kind=f"prometheus_{alert.name}"[:40],
                severity=alert.severity,
                dedupe_key=alert.occurrence,
                sentence=alert.summary,
                now=now,
            )
            if event is None:
                continue
            new += 1
            if alert.name in settings.AVIGRID["ALERT_HALTS"]:
                halted += _halt(alert)
    return Taken(new, halted)


def _halt(alert: OutsideAlert) -> int:
    changed = 0
    for account in trading_accounts():
        if alert.account not in ("", account.label) or effective_state(account.pk) is State.HALTED:
            continue
        reason = f"Alert {alert.name}: {alert.summary}"
        changed += halt(account_id=account.pk, source=StateSource.ALERT_WEBHOOK, reason=reason, actor=ACTOR) is not None
    return changed


def read_alerts(message: object) -> Sequence[OutsideAlert]:
    """Alertmanager's webhook message (version 4). Raises ValueError naming what is wrong."""
    rows = message.get("alerts") if isinstance(message, dict) else None
    if not isinstance(rows, list) or len(rows) > 500:
        raise ValueError("alerts must be a list of at most 500")
    return [_read(row) for row in rows]


def _read(row: object) -> OutsideAlert:
    if not isinstance(row, dict):
        raise ValueError("an alert must be an object")
    labels, notes = row.get("labels"), row.get("annotations") or {}
    if not isinstance(labels, dict) or not isinstance(notes, dict) or not labels.get("alertname"):
        raise ValueError("an alert needs labels with an alertname")
    name = str(labels["alertname"])[:29]
    severity = str(labels.get("severity", "warning"))
    return OutsideAlert(
        name=name,
        severity=severity if severity in ("info", "warning", "critical") else "warning",
        summary=str(notes.get("summary") or name)[:300],
        is_firing=row.get("status") == "firing",
        occurrence=f"{row.get('fingerprint', '')}:{row.get('startsAt', '')}"[:70],
        account=str(labels.get("account", "")),
    )
