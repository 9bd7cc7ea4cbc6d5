"""The top bar of every page: is it safe, does everything live, what is it worth, how much is at risk."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from django.conf import settings
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.selectors.trading_accounts import primary_account
from avigrid.common import heartbeats
from avigrid.common.heartbeats import ProcessLife
from avigrid.common.reading import read_once
from avigrid.kernel.money import ZERO
from marketdata.selectors.times import to_ms
from risk.core.exposure import open_risk_usd
from risk.core.request import OrderLine
from risk.core.states import State
from risk.selectors.guards import effective_state
from risk.selectors.limits import limits_of
from trading.models import ReconciliationRun
from trading.selectors.alive import is_alive, process_label
from trading.selectors.auto_mode import auto_modes_shown
from trading.selectors.desk import PlanRow, plan_rows
from trading.selectors.exchange_time import exchange_time
from trading.selectors.open_plans import newest_wallet, open_findings
from trading.selectors.risk_view import may_buy_again, realised_since_midnight
from trading.selectors.stages import StandingOverride, standing_override


@dataclass(frozen=True, slots=True)
class ProcessChip:
    name: str
    """As people call it."""
    age_s: float
    ok: bool


@dataclass(frozen=True, slots=True)
class ReconciliationBadge:
    status: str
    """good, findings, incomplete, running or never."""
    age_s: float | None
    open_findings: int
    critical: int


@dataclass(frozen=True, slots=True)
class TopBar:
    account_id: int | None
    account: str
    environment: str
    state: State | None
    """None: there is no account that could trade."""
    processes: Sequence[ProcessChip]
    vital: Sequence[ProcessChip]
    reconciliation: ReconciliationBadge
    equity_usd: Decimal | None
    pnl_today_usd: Decimal
    pnl_today_r: Decimal
    is_open_pnl_known: bool
    """False: a price of something held is missing, and today's result counts what is booked alone."""
    open_risk_r: Decimal
    max_risk_r: Decimal
    auto_symbols: Sequence[str] = ()
    """Where signals are placed without anybody clicking."""
    override: StandingOverride | None = None
    """The strategy is live without the proof of its validation: on every page for as long as that stands."""

    @property
    def silent_processes(self) -> int:
        return sum(not chip.ok for chip in self.processes)

    @property
    def streams_down(self) -> int:
        """What is vital and no process of its own: the private stream."""
        processes = {chip.name for chip in self.processes}
        return sum(not chip.ok for chip in self.vital if chip.name not in processes)


def top_bar() -> TopBar:
    account = primary_account()
    lives = heartbeats.lives()
    chips, vital = [_chip(life) for life in lives], _vital_chips(lives)
    if account is None:
        return TopBar(
            account_id=None,
            account="",
            environment=str(settings.AVIGRID["MARKET_ENVIRONMENT"]),
            state=None,
            processes=chips,
            vital=vital,
            reconciliation=ReconciliationBadge("never", None, 0, 0),
            equity_usd=None,
            pnl_today_usd=ZERO,
            pnl_today_r=ZERO,
            is_open_pnl_known=True,
            open_risk_r=ZERO,
            max_risk_r=ZERO,
        )
    limits = limits_of(account.pk)
    equity = newest_wallet(account.pk)
    rows = plan_rows(account.pk)
    open_pnl = [row.unrealised_usd for row in rows]
    is_known = None not in open_pnl
    # half of the open positions would be a number nobody can read: all of them, or none
    today = realised_today(account.pk) + (sum((usd for usd in open_pnl if usd is not None), ZERO) if is_known else ZERO)
    return TopBar(
        account_id=account.pk,
        account=account.label,
        environment=account.environment,
        state=effective_state(account.pk),
        processes=chips,
        vital=vital,
        reconciliation=_reconciliation(account.pk),
        equity_usd=equity.equity_usd if equity else None,
        pnl_today_usd=today,
        pnl_today_r=today / limits.r_usd,
        is_open_pnl_known=is_known,
        open_risk_r=sum((_open_risk(row) for row in rows), ZERO) / limits.r_usd,
        max_risk_r=limits.max_total_risk_r,
        auto_symbols=[mode.symbol for mode in auto_modes_shown(account.pk)],
        override=standing_override(),
    )


def _vital_chips(lives: Sequence[ProcessLife]) -> list[ProcessChip]:
    """What must live for anything to be traded: market data, execution and the private stream it listens to."""
    chips = []
    for life in lives:
        kind = life.process.partition(":")[0]
        if kind in ("market_data", "execution"):
            chips.append(_chip(life))
        if kind == "execution" and "stream" in life.detail:
            is_up = life.detail["stream"] not in ("down", "connecting")
            chips.append(ProcessChip(_("private stream"), life.age_s, is_alive(life) and is_up))
    return chips


def _chip(life: ProcessLife) -> ProcessChip:
    return ProcessChip(process_label(life.process), life.age_s, is_alive(life))


def realised_today(account_id: int) -> Decimal:
    """As booked since 00:00 UTC of the exchange's day; ours where its clock was never measured."""
    clock = exchange_time(account_id)
    return realised_since_midnight(account_id, clock.now_ms if clock else to_ms(timezone.now()))


def _open_risk(row: PlanRow) -> Decimal:
    """As the risk engine counts it, so that this number and the Risk page's are one: see `risk_view`."""
    waiting = ZERO if row.plan.entries_cancelled else max(row.entry_planned - row.entry_filled, ZERO)
    risk = open_risk_usd(
        direction=row.plan.direction,
        stop_price=row.plan.stop_price if row.plan.stop_price is not None else row.spec.stop,
        filled_qty=abs(row.size),
        avg_price=row.average_price,
        pending=[OrderLine(waiting, row.spec.entry)],
        mark_price=row.spec.entry,
        exit_fee_ratio=row.spec.taker_fee,
    )
    return max(risk, row.spec.planned_loss_usd) if may_buy_again(row.plan, row.spec) else risk


@read_once
def _reconciliation(account_id: int) -> ReconciliationBadge:
    run = ReconciliationRun.objects.filter(account=account_id, finished_at__isnull=False).first()
    severities = [finding.severity for finding in open_findings(account_id)]
    if run is None or run.finished_at is None:
        return ReconciliationBadge("never", None, len(severities), severities.count("critical"))
    age_s = (timezone.now() - run.finished_at).total_seconds()
    return ReconciliationBadge(run.status, age_s, len(severities), severities.count("critical"))
