"""The stage of a strategy version as the order path must see it, and the override that may hold it there."""

from dataclasses import dataclass
from datetime import datetime

from django.db.models import QuerySet

from risk.core.checks.permission import stage_refusal
from risk.core.states import Environment, Stage
from trading.models import StageChange, StrategyVersion
from trading.selectors.strategy import active_version


@dataclass(frozen=True, slots=True)
class StandingOverride:
    """A version is live although its validation had not met the thresholds."""

    change_id: int
    version: StrategyVersion
    reason: str
    by: str
    since: datetime
    missing: tuple[str, ...]
    """The thresholds that were not met, as sentences."""


def stage_in_force(version: StrategyVersion) -> Stage:
    """What risk is told. `live` counts only while the change that allowed it stands; without it the version is paper,
    however its row came to say live."""
    stage = Stage(version.stage)
    if stage is not Stage.LIVE or _standing(version).filter(after=Stage.LIVE).exists():
        return stage
    return Stage.PAPER


def entry_refused_by_stage(plan_id: int, environment: Environment) -> str:
    """Why the version behind this plan may not enter now, however it was when the plan was placed; empty where it may.

    A plan without a signal (adopted) belongs to no version: it only has exits.
    """
    version = StrategyVersion.objects.filter(decisions__signals__plan=plan_id).first()
    return "" if version is None else stage_refusal(stage_in_force(version), environment)


def standing_override(version: StrategyVersion | None = None) -> StandingOverride | None:
    """Of the active version unless another is named; to be shown for as long as it stands."""
    version = version or active_version()
    if version is None or version.stage != Stage.LIVE:
        return None
    change = _standing(version).filter(after=Stage.LIVE, is_override=True).select_related("changed_by").first()
    if change is None:
        return None
    return StandingOverride(
        change_id=change.pk,
        version=version,
        reason=change.reason,
        by=str(change.changed_by) if change.changed_by else "",
        since=change.changed_at,
        missing=tuple(str(check["sentence"]) for check in change.evidence.get("checks", ()) if not check["passed"]),
    )


def stage_changes(version_id: int) -> QuerySet[StageChange]:
    """Newest first."""
    return StageChange.objects.filter(strategy_id=version_id).select_related("changed_by").order_by("-id")


def _standing(version: StrategyVersion) -> QuerySet[StageChange]:
    return StageChange.objects.filter(strategy=version, ended_at__isnull=True)
