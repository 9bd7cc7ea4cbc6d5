"""Moving a strategy version between validation, paper and live. Up one step at a time, live only through its gate."""

from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING

from django.db import transaction

from accounts.selectors.trading_accounts import trading_accounts
from accounts.services.audit import audit
from avigrid.common import push
from avigrid.kernel.errors import Rejected
from risk.core.states import Environment
from risk.services.account_lock import account_lock
from risk.services.authority import require_admin
from trading.models import OPEN_PLAN_STATUSES, Plan, Stage, StageChange, StrategyVersion
from trading.selectors.stages import standing_override
from trading.selectors.validation import validation_report
from trading.services.alerts import alert_raise
from trading.services.plan_commands import plan_cancel_entries

if TYPE_CHECKING:
    from accounts.models import User

_HEIGHT = {Stage.VALIDATION: 0, Stage.PAPER: 1, Stage.LIVE: 2}


@transaction.atomic
def change_stage(
    *,
    version_id: int,
    stage: str,
    actor: "User | str",
    reason: str,
    otp_used: bool,
    override: bool = False,
    now: datetime,
) -> StageChange:
    """Under the lock of every account, so that a placement sees the stage from before or from after, never both.

    Downwards, entries still resting where the new stage may not trade are cancelled; exits and stops stay.
    Raises Rejected: `otp_needed`, `reason_needed`, `admin_needed`, `unknown_version`, `unknown_stage`, `stage_same`,
    `stage_step`, `not_validated` (with the thresholds missing), `nothing_to_override`.
    """
    require_admin(actor, reason=reason, otp_used=otp_used)
    wanted = _stage_named(stage)
    for account in trading_accounts(active_only=False):
        account_lock(account_id=account.pk)
    version = StrategyVersion.objects.select_for_update(no_key=True).filter(pk=version_id).first()
    if version is None:
        raise Rejected(f"There is no strategy version {version_id}.", code="unknown_version")
    before = Stage(version.stage)
    if wanted is before:
        raise Rejected(f"{version} is in stage {before} already.", code="stage_same")
    if _HEIGHT[wanted] - _HEIGHT[before] > 1:
        raise Rejected(f"{version} is in stage {before}: {Stage.PAPER} comes before {wanted}.", code="stage_step")
    evidence = _evidence(version, wanted, override)
    StageChange.objects.filter(strategy=version, ended_at__isnull=True).update(ended_at=now)
    change = StageChange.objects.create(
        strategy=version,
        before=before,
        after=wanted,
        reason=reason.strip(),
        is_override=override,
        evidence=evidence,
        changed_by=None if isinstance(actor, str) else actor,
        changed_at=now,
    )
    version.stage = wanted
    version.save(update_fields=["stage"])
    audit(
        actor=actor,
        action="strategy.stage_overridden" if override else "strategy.stage_changed",
        obj=version,
        before={"stage": before.value},
        after={"stage": wanted.value, "evidence": evidence},
        reason=reason,
        otp_used=otp_used,
    )
    if _HEIGHT[wanted] < _HEIGHT[before]:
        _entries_cancel(version, wanted, actor)
    if override:
        alert_raise(
            kind="stage_override",
            severity="warning",
            dedupe_key=f"stage{change.pk}",
            sentence=f"{version} went live without the proof of its validation: {reason.strip()}",
            now=now,
        )
    push.event("strategy", {"version": version.version, "stage": wanted.value})
    return change


def override_withdraw(
    *, version_id: int, actor: "User | str", reason: str, otp_used: bool, now: datetime
) -> StageChange:
    """Back to paper: mainnet gets no more entries of this version. Raises Rejected `no_override` and as above."""
    version = StrategyVersion.objects.filter(pk=version_id).first()
    if version is None or standing_override(version) is None:
        raise Rejected(f"No override stands for strategy version {version_id}.", code="no_override")
    return change_stage(
        version_id=version_id, stage=Stage.PAPER, actor=actor, reason=reason, otp_used=otp_used, now=now
    )


def _stage_named(text: str) -> Stage:
    try:
        return Stage(text)
    except ValueError:
        raise Rejected(f"stage must be one of {', '.join(Stage.values)}, got {text!r}", code="unknown_stage") from None


def _evidence(version: StrategyVersion, wanted: Stage, override: bool) -> dict[str, object]:
    """The verdict, where live is asked for. Raises where it does not allow it and nobody takes it on himself."""
    if wanted is not Stage.LIVE:
        if override:
            raise Rejected("Only going live has thresholds to override.", code="nothing_to_override")
        return {}
    verdict = validation_report(version).verdict
    if verdict.is_ready and override:
        raise Rejected(f"{version} has met every threshold: no override is needed.", code="nothing_to_override")
    if not verdict.is_ready and not override:
        told = "; ".join(check.sentence for check in verdict.missing)
        raise Rejected(
            f"{version} may not go live yet: {told}.",
            code="not_validated",
            missing=[check.name for check in verdict.missing],
        )
    return asdict(verdict)


def _entries_cancel(version: StrategyVersion, stage: Stage, actor: "User | str") -> None:
    """Of plans that could not be placed any more."""
    plans = Plan.objects.filter(
        signal__decision__strategy=version, status__in=OPEN_PLAN_STATUSES, entries_cancelled=False
    )
    if stage is Stage.PAPER:
        plans = plans.filter(account__environment=Environment.MAINNET.value)
    for plan_id in plans.order_by("pk").values_list("pk", flat=True):
        plan_cancel_entries(plan_id=plan_id, user=actor, reason=f"stage {stage}")
