"""Making a calibration's hours the ones in use: always a new strategy version; the run stays as it ended."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from django.db import transaction

from accounts.services.audit import audit
from avigrid.kernel.errors import Rejected
from risk.services.authority import require_admin
from trading.avi5.config import StrategyConfig
from trading.backtest.walk_forward import Calibration
from trading.models import ResearchKind, ResearchRun, ResearchStatus, StrategyVersion
from trading.selectors.research import used_proxy
from trading.selectors.strategy import config_of
from trading.services.strategy_versions import active_locked, stage_of_next, strategy_version_create

if TYPE_CHECKING:
    from accounts.models import User

CALIBRATED = ("theta_by_hour", "dead_hours")
_REPLACED = (*CALIBRATED, "theta", "version")
"""What may differ between the numbers calibrated on and those in use: with 24 hours set, theta itself says nothing."""


@transaction.atomic
def activate_calibration(
    *, run_id: int, actor: "User | str", reason: str, otp_used: bool, now: datetime
) -> StrategyVersion:
    """A new active version: the numbers in use with the run's theta(h) and dead hours.

    What was live starts over in validation. Raises Rejected: `otp_needed`, `reason_needed`, `admin_needed`,
    `unknown_calibration`, `calibration_not_done`, `no_strategy`, `calibrated_on_files`, `calibrated_on_other_filters`,
    `calibrated_on_other_numbers`, `already_in_use`.
    """
    require_admin(actor, reason=reason, otp_used=otp_used)
    run = ResearchRun.objects.filter(pk=run_id, kind=ResearchKind.CALIBRATE).first()
    if run is None:
        raise Rejected(f"There is no calibration {run_id}.", code="unknown_calibration")
    if run.status != ResearchStatus.DONE or run.result is None:
        raise Rejected(
            f"Calibration {run_id} is {run.status}: only a finished one has hours.", code="calibration_not_done"
        )
    active = active_locked()
    if active is None:
        raise Rejected("No strategy version is active.", code="no_strategy")
    config = config_of(active)
    _require_own_bars(run)
    _require_same_numbers(run, config)
    found = run.result["calibrated_config"]
    wanted = config.replaced({name: found[name] for name in CALIBRATED})
    if wanted.config_hash == config.config_hash:
        raise Rejected(f"The hours of calibration {run_id} are in use already.", code="already_in_use")
    version = strategy_version_create(
        config=wanted,
        stage=stage_of_next(active),
        note=f"Calibration {run.pk}: {reason.strip()}",
        calibration=run,
        actor=actor,
        now=now,
    )
    audit(
        actor=actor,
        action="calibration.activated",
        obj=run,
        before={"version": active.version, **{name: config.to_mapping()[name] for name in CALIBRATED}},
        after={
            "version": version.version,
            "used_proxy": used_proxy(run),
            **{name: wanted.to_mapping()[name] for name in CALIBRATED},
        },
        reason=reason,
        otp_used=otp_used,
    )
    return version


@transaction.atomic
def calibration_record(
    *, found: Calibration, config: StrategyConfig, params: Mapping[str, object], actor: "User | str", now: datetime
) -> ResearchRun:
    """Keeps a calibration that a command has worked out: as immutable and comparable as one a worker made."""
    run = ResearchRun.objects.create(
        kind=ResearchKind.CALIBRATE,
        params=dict(params),
        config=config.to_mapping(),
        config_hash=config.config_hash,
        data_hash=found.data_hash,
        status=ResearchStatus.DONE,
        shards_done=1,
        result=calibration_result(found, config),
        created_by=None if isinstance(actor, str) else actor,
        created_at=now,
        touched_at=now,
        ended_at=now,
    )
    audit(actor=actor, action="research.recorded", obj=run, after={"config": run.config_hash, "data": run.data_hash})
    return run


def calibration_result(found: Calibration, config: StrategyConfig) -> dict[str, object]:
    """As it is stored: plain JSON values, and the config with the calibrated hours beside them."""
    result: dict[str, object] = json.loads(found.to_json())
    result["calibrated_config"] = found.apply_to(config).to_mapping()
    return result


def _require_own_bars(run: ResearchRun) -> None:
    """What somebody's files or made-up steps gave is for looking at."""
    if run.params.get("files"):
        raise Rejected(
            f"Calibration {run.pk} was made over files. Calibrate over the bars of this installation.",
            code="calibrated_on_files",
        )
    if run.params.get("tick") or run.params.get("qty_step"):
        raise Rejected(
            f"Calibration {run.pk} was made with another tick or step. Calibrate with the instrument's own.",
            code="calibrated_on_other_filters",
        )


def _require_same_numbers(run: ResearchRun, config: StrategyConfig) -> None:
    """Thetas found with other numbers say nothing about these."""
    theirs, ours = StrategyConfig.from_stored(run.config).to_mapping(), config.to_mapping()
    other = sorted(name for name in ours if name not in _REPLACED and ours[name] != theirs[name])
    if other:
        told = ", ".join(f"{name} {theirs[name]} (in use: {ours[name]})" for name in other)
        raise Rejected(
            f"Calibration {run.pk} was made with other numbers: {told}. Calibrate with those in use.",
            code="calibrated_on_other_numbers",
            names=other,
        )
