"""Strategy parameters, versioned: a change is a new row, and at most one row of a strategy is active."""

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from django.db import transaction
from django.db.models import Max

from accounts.services.audit import audit
from avigrid.common import push
from avigrid.kernel.errors import Rejected
from trading.avi5.config import STRATEGY, StrategyConfig
from trading.models import ResearchRun, Stage, StrategyVersion
from trading.selectors.strategy import config_of

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
    expected_version: int | None = None,
    actor: "User | str | None",
    now: datetime,
) -> StrategyVersion:
    """A new version, active at once unless told otherwise. The number is one above the highest there is.

    Raises Rejected: `born_live` (other numbers are another strategy, which has proved nothing yet), `config_moved`.
    """
    if stage == Stage.LIVE:
        raise Rejected("A new version cannot begin live: it has to pass validation itself.", code="born_live")
    _refuse_moved(active_locked(), expected_version)
    highest = StrategyVersion.objects.filter(name=STRATEGY).aggregate(top=Max("version"))["top"]
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


@transaction.atomic
def strategy_change(
    *,
    changes: Mapping[str, object],
    note: str,
    expected_version: int | None = None,
    actor: "User | str | None",
    now: datetime,
) -> StrategyVersion | None:
    """The active version with some of its numbers changed, whatever else was changed in the meantime.

    None where no version is active. Raises InvalidConfig, Rejected `config_moved`.
    """
    active = active_locked()
    _refuse_moved(active, expected_version)
    if active is None:
        return None
    config = config_of(active).replaced(changes)
    if config.config_hash == active.config_hash:
        return active
    return strategy_version_create(config=config, stage=stage_of_next(active), note=note, actor=actor, now=now)


def active_locked() -> StrategyVersion | None:
    """The active version, which stays that until this transaction ends: nobody else makes one or activates another."""
    list(StrategyVersion.objects.select_for_update().filter(name=STRATEGY).order_by("pk"))
    return StrategyVersion.objects.filter(name=STRATEGY, is_active=True).first()


def _refuse_moved(active: StrategyVersion | None, expected: int | None) -> None:
    version = active.version if active else 0
    if expected is not None and expected != version:
        raise Rejected(f"Version {version} decides by now, not {expected}.", code="config_moved")


def stage_of_next(version: StrategyVersion | None) -> Stage:
    """Where a changed version begins: paper stays paper, which risks nothing; what was live starts over."""
    return Stage.PAPER if version is not None and version.stage == Stage.PAPER else Stage.VALIDATION


@transaction.atomic
def strategy_version_activate(*, version_id: int, actor: "User | str | None", now: datetime) -> StrategyVersion:
    """Make one version the deciding one; running processes take it with their next bar."""
    before = active_locked()
    version = StrategyVersion.objects.get(pk=version_id)
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
