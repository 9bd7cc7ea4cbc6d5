"""The active version's stage and what its forward validation says, for the Research page."""

from collections.abc import Sequence
from dataclasses import dataclass

from risk.core.states import Stage as StageInForce
from trading.models import ModelledPlan, Stage, StrategyVersion
from trading.selectors.stages import StandingOverride, stage_in_force, standing_override
from trading.selectors.strategy import active_version
from trading.selectors.validation import ValidationReport, modelled_plans, validation_report

PLANS = 20


@dataclass(frozen=True, slots=True)
class StagePanel:
    version: StrategyVersion
    in_force: StageInForce
    override: StandingOverride | None
    report: ValidationReport
    plans: Sequence[ModelledPlan]
    choices: Sequence[tuple[str, str]]


def stage_panel() -> StagePanel | None:
    version = active_version()
    if version is None:
        return None
    return StagePanel(
        version=version,
        in_force=stage_in_force(version),
        override=standing_override(version),
        report=validation_report(version),
        plans=list(modelled_plans(version)[:PLANS]),
        choices=[(value, str(words)) for value, words in Stage.choices],
    )
