"""What a replay found: plans, their legs, the equity after every bar. Money in Decimal, series in float64."""

from dataclasses import dataclass, field
from decimal import Decimal

import numpy as np
import numpy.typing as npt

from avigrid.kernel.instrument import FeeRates
from avigrid.kernel.money import ZERO
from trading.avi5.config import StrategyConfig


@dataclass(frozen=True, slots=True)
class BacktestSettings:
    """What is assumed about account and venue, apart from the strategy's own numbers."""

    r_usd: Decimal = Decimal(100)
    start_equity_usd: Decimal = Decimal(10_000)
    fees: FeeRates = field(default_factory=FeeRates)
    anti_churn_ms: int = 900_000


@dataclass(frozen=True, slots=True)
class Leg:
    """One exit fill against the entry it closes. `exit` is take_profit, stop or the reason of the close."""

    plan: int
    rung: int
    cycle: int
    entry_ms: int
    entry_price: Decimal
    exit_ms: int
    exit_price: Decimal
    quantity: Decimal
    exit: str
    gross_usd: Decimal
    fees_usd: Decimal
    slippage_usd: Decimal

    @property
    def net_usd(self) -> Decimal:
        """Before funding, which is paid by the plan."""
        return self.gross_usd - self.fees_usd


@dataclass(frozen=True, slots=True)
class PlanResult:
    """One plan from decision to end. `net_usd` = gross - fees - funding; slippage is inside gross, shown apart."""

    number: int
    symbol: str
    direction: int
    profile: str
    decided_ms: int
    closed_ms: int
    entry: Decimal
    stop: Decimal
    planned_loss_usd: Decimal
    score: float
    cost_r: float
    hour: int
    used_proxy: bool
    status: str
    reason: str
    legs: tuple[Leg, ...]
    funding_usd: Decimal
    """Paid is positive."""
    r_usd: Decimal
    first_bar: int
    last_bar: int
    """Fine bars in which the plan acted, from the first order to the last fill."""

    @property
    def is_traded(self) -> bool:
        return bool(self.legs)

    @property
    def gross_usd(self) -> Decimal:
        return sum((leg.gross_usd for leg in self.legs), ZERO)

    @property
    def fees_usd(self) -> Decimal:
        return sum((leg.fees_usd for leg in self.legs), ZERO)

    @property
    def slippage_usd(self) -> Decimal:
        return sum((leg.slippage_usd for leg in self.legs), ZERO)

    @property
    def turnover_usd(self) -> Decimal:
        return sum((leg.quantity * (leg.entry_price + leg.exit_price) for leg in self.legs), ZERO)

    @property
    def net_usd(self) -> Decimal:
        return self.gross_usd - self.fees_usd - self.funding_usd

    @property
    def r(self) -> float:
        return float(self.net_usd / self.r_usd)


@dataclass(frozen=True, slots=True, eq=False)
class SymbolResult:
    """`equity_usd`: profit and loss after each 5m bar, open loss included, starting from 0."""

    symbol: str
    start_ms: npt.NDArray[np.int64]
    close: npt.NDArray[np.float64]
    equity_usd: npt.NDArray[np.float64]
    in_position: npt.NDArray[np.bool_]
    plans: tuple[PlanResult, ...]
    signals: int
    """Bars on which all rules passed, taken or not."""
    skipped: dict[str, int]
    """Signals not taken: a plan was open, anti-churn, a refusal of sizes."""
    warm_bars: int
    used_proxy: bool
    is_15m_aggregated: bool
    one_minute_share: float
    funding_missing: int
    data_hash: str
    config: StrategyConfig
    settings: BacktestSettings
