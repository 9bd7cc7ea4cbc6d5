"""Limits and their use, for the Risk page and the bar on the desk."""

from dataclasses import replace

from risk.core.snapshot import Snapshot
from risk.core.usage import Usage, usage
from risk.selectors.guards import guards_shown
from risk.selectors.limits import limits_of


def usage_of(account_id: int, snapshot: Snapshot, now_ms: int) -> tuple[Usage, ...]:
    """`snapshot` as trading builds it for a decision."""
    return usage(replace(snapshot, guards=guards_shown(account_id, now_ms)), limits_of(account_id))
