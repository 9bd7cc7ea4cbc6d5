"""Everything a verdict may look at, frozen at one moment. Trading fills it; risk adds `guards` from its own tables."""

from dataclasses import dataclass, field
from decimal import Decimal

from avigrid.kernel.money import ZERO
from risk.core.states import Environment, Stage, State, strictest


@dataclass(frozen=True, slots=True)
class OpenPlan:
    """A plan that is not over, its intents, unknown and unfilled orders counted as if filled.

    `risk_usd` is the loss at the CURRENT stop (0 at break-even or better); `notional_usd`, `quantity` and
    `margin_usd` are what it holds if everything fills. `risk.core.exposure.open_risk_usd` computes the first.
    """

    plan_id: int
    symbol: str
    base_coin: str
    direction: int
    risk_usd: Decimal
    notional_usd: Decimal
    quantity: Decimal
    margin_usd: Decimal = ZERO


@dataclass(frozen=True, slots=True)
class LastEntry:
    symbol: str
    direction: int
    time_ms: int


@dataclass(frozen=True, slots=True)
class DayResult:
    """Since 00:00 UTC. `realised_usd` net of fees and funding; `open_loss_usd` sums the losing positions, >= 0."""

    realised_usd: Decimal = ZERO
    open_loss_usd: Decimal = ZERO


@dataclass(frozen=True, slots=True)
class Freshness:
    """When the symbol's book last changed here and when its newest confirmed bar ended; None: never seen."""

    symbol: str
    book_ms: int | None
    bar_end_ms: int | None
    bar_interval_min: int = 5


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """The last finished run; `good` means it ended without anything unexplained."""

    finished_ms: int | None = None
    good: bool = False


@dataclass(frozen=True, slots=True)
class BlockedSymbol:
    """Opening on this symbol is forbidden: it is being closed, or a foreign position lies there."""

    symbol: str
    reason: str


@dataclass(frozen=True, slots=True)
class SymbolState:
    symbol: str
    state: State


@dataclass(frozen=True, slots=True)
class Guards:
    """What risk itself remembers. `services.decide` reads it from the database; callers leave it alone."""

    account_state: State = State.ACTIVE
    symbol_states: tuple[SymbolState, ...] = ()
    peak_equity_usd: Decimal | None = None
    stop_streak: int = 0
    last_stop_ms: int | None = None
    entries: tuple[LastEntry, ...] = ()
    open_loss_at_midnight_usd: Decimal = ZERO

    def state_of(self, symbol: str) -> State:
        """Of the symbol alone."""
        return strictest(row.state for row in self.symbol_states if row.symbol == symbol)

    def effective_state(self, symbol: str) -> State:
        return strictest((self.account_state, self.state_of(symbol)))


@dataclass(frozen=True, slots=True)
class Snapshot:
    """`equity_usd` at mark prices, open loss included. `unavailable` names parts new risk needs that are down."""

    account_id: int
    environment: Environment
    stage: Stage
    equity_usd: Decimal
    available_usd: Decimal
    initial_margin_usd: Decimal = ZERO
    maintenance_margin_usd: Decimal = ZERO
    isolated_margin: bool = False
    open_plans: tuple[OpenPlan, ...] = ()
    last_entries: tuple[LastEntry, ...] = ()
    day: DayResult = field(default_factory=DayResult)
    freshness: tuple[Freshness, ...] = ()
    reconciliation: Reconciliation = field(default_factory=Reconciliation)
    orders_last_minute: int = 0
    orders_today: int = 0
    clock_offset_ms: int = 0
    blocked_symbols: tuple[BlockedSymbol, ...] = ()
    unavailable: tuple[str, ...] = ()
    guards: Guards = field(default_factory=Guards)

    @property
    def day_loss_usd(self) -> Decimal:
        """Positive is a loss. An open loss carried over midnight is yesterday's; open profit never counts."""
        return self.day.open_loss_usd - self.guards.open_loss_at_midnight_usd - self.day.realised_usd
