"""The active version's stage and what its forward validation says, for the Research page."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from risk.core.states import Stage as StageInForce
from trading.models import ModelledPlan, Stage, StrategyVersion
from trading.selectors.stages import StandingOverride, stage_in_force, standing_override
from trading.selectors.strategy import active_version
from trading.selectors.validation import ValidationReport, modelled_plans, validation_report

PLANS = 20
_WORDS: dict[str, str | Promise] = {
    "real_market": _("signals of a real market (1), not of a simulated one (0)"),
    "days": _("days of validation, at least"),
    "trades": _("closed modelled trades, at least"),
    "win_rate": _("share of winners, at least"),
    "profit_factor": _("profit factor, at least"),
    "max_drawdown_r": _("largest drawdown in R, at most"),
    "slippage_gap_bps": _("median gap of modelled and observed slippage in bps, at most"),
}


@dataclass(frozen=True, slots=True)
class Threshold:
    """`value` None: nothing is known yet, which never passes."""

    name: str
    words: str
    value: float | None
    limit: float
    passed: bool


@dataclass(frozen=True, slots=True)
class StagePanel:
    version: StrategyVersion
    in_force: StageInForce
    override: StandingOverride | None
    report: ValidationReport
    thresholds: Sequence[Threshold]
    plans: Sequence[ModelledPlan]
    choices: Sequence[tuple[str, str]]


def stage_panel() -> StagePanel | None:
    version = active_version()
    if version is None:
        return None
    report = validation_report(version)
    return StagePanel(
        version=version,
        in_force=stage_in_force(version),
        override=standing_override(version),
        report=report,
        thresholds=[
            Threshold(check.name, str(_WORDS.get(check.name, check.name)), check.value, check.limit, check.passed)
            for check in report.verdict.checks
        ],
        plans=list(modelled_plans(version)[:PLANS]),
        choices=[(value, str(words)) for value, words in Stage.choices],
    )
