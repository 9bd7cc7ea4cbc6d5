"""Strategy parameters, versioned: a change is a new row, and at most one row of a strategy is active."""

from datetime import datetime
from typing import TYPE_CHECKING

from django.db import transaction
from django.db.models import Max

from accounts.services.audit import audit
from avigrid.common import push
from avigrid.kernel.errors import Rejected
from trading.avi5.config import STRATEGY, StrategyConfig
from trading.models import ResearchRun, Stage, StrategyVersion

if TYPE_CHECKING:
    from accounts.models import User


@transaction.atomic
def strategy_version_create(
    *,
    config: StrategyConfig,
    stage: str = Stage.VALIDATION,
    note: str = "",
    activate: bool = True,
    calibration: ResearchRun | None = None,
    actor: "User | str | None",
    now: datetime,
) -> StrategyVersion:
    """A new version, active at once unless told otherwise. The number is one above the highest there is.

    Raises Rejected `born_live`: other numbers are another strategy, which has proved nothing yet.
    """
    if stage == Stage.LIVE:
        raise Rejected("A new version cannot begin live: it has to pass validation itself.", code="born_live")
    rows = StrategyVersion.objects.select_for_update().filter(name=STRATEGY)
    highest = rows.aggregate(top=Max("version"))["top"] if list(rows) else 0
    version = StrategyVersion.objects.create(
        name=STRATEGY,
        version=(highest or 0) + 1,
        config=config.to_mapping(),
        config_hash=config.config_hash,
        stage=stage,
        note=note,
        calibration=calibration,
        created_by=None if isinstance(actor, str) else actor,
        created_at=now,
    )
    audit(actor=actor, action="strategy.version_created", obj=version, after={"config": version.config, "stage": stage})
    return strategy_version_activate(version_id=version.pk, actor=actor, now=now) if activate else version


def stage_of_next(version: StrategyVersion | None) -> Stage:
    """Where a changed version begins: paper stays paper, which risks nothing; what was live starts over."""
    return Stage.PAPER if version is not None and version.stage == Stage.PAPER else Stage.VALIDATION


@transaction.atomic
def strategy_version_activate(*, version_id: int, actor: "User | str | None", now: datetime) -> StrategyVersion:
    """Make one version the deciding one; running processes take it with their next bar."""
    version = StrategyVersion.objects.select_for_update().get(pk=version_id)
    before = StrategyVersion.objects.filter(name=version.name, is_active=True).first()
    StrategyVersion.objects.filter(name=version.name, is_active=True).update(is_active=False)
    StrategyVersion.objects.filter(pk=version.pk).update(is_active=True, activated_at=now)
    version.refresh_from_db()
    audit(
        actor=actor,
        action="strategy.version_activated",
        obj=version,
        before={"version": before.version if before else None},
        after={"version": version.version, "config_hash": version.config_hash},
    )
    push.event("strategy", {"version": version.version, "stage": version.stage})
    return version
