"""What new risk needs around it: clock, Redis, a key that may trade, the right position mode. Each problem is named,
shown in the heartbeat and told once; while one stands nothing new is opened, exits go on."""

from dataclasses import dataclass, field

import structlog

from avigrid.exchange.bybit.clock import STEP_MS
from avigrid.exchange.bybit.connect import try_measure
from avigrid.kernel.errors import AviGridError, NotModified
from trading.avi5.window import BAR_5M_MS
from trading.models import OPEN_PLAN_STATUSES, Decision, Plan
from trading.runtime import gauges
from trading.runtime.context import Context
from trading.runtime.incidents import INCIDENTS
from trading.runtime.venue import VenueAccess
from trading.services.alerts import alert_raise
from trading.services.times import from_ms

log = structlog.get_logger(__name__)

CLOCK_ALERT_MS = 500
CLOCK_LIMIT_MS = 1_000
TREND_MAX_AGE_MS = 2 * BAR_5M_MS
"""Since its bar closed."""


@dataclass(slots=True)
class Surroundings:
    context: Context
    venue: VenueAccess
    clock_offset_ms: int = 0
    problems: dict[str, str] = field(default_factory=dict)
    """Code to sentence; every one of them keeps new risk out."""

    @property
    def are_good(self) -> bool:
        return not self.problems and not self.context.redis_down

    def measure_clock(self) -> None:
        clock = self.venue.clock
        is_answered = try_measure(clock)
        last = clock.last
        if is_answered and last is not None:
            INCIDENTS.clock_error(last.error_ms, limit_ms=STEP_MS * max(1.0, clock.rate_ratio))
        # A simulated exchange keeps a time of its own; being far from ours is its nature.
        is_simulated = self.context.environment == "simulated"
        self.clock_offset_ms = 0 if last is None or is_simulated else int(last.offset_ms)
        gauges.CLOCK_OFFSET.set(self.clock_offset_ms)
        sentence = f"Our clock is {self.clock_offset_ms} ms from the exchange's: set it right."
        self._note("clock_offset", sentence, abs(self.clock_offset_ms) > CLOCK_LIMIT_MS)
        if abs(self.clock_offset_ms) > CLOCK_ALERT_MS:
            self._tell("clock_offset", "warning", sentence)

    def check_key(self) -> None:
        """No answer leaves what was known."""
        try:
            info = self.context.gateway.key_info()
        except AviGridError as error:
            log.warning("key_not_checked", code=error.code)
            return
        may_not_trade = info.read_only or not info.can_trade
        self._note(
            "key_read_only",
            "The key may only read: give it contract orders and positions, or add another.",
            may_not_trade,
        )
        self._note("key_can_withdraw", "The key may withdraw money: replace it by one that cannot.", info.can_withdraw)

    def set_position_mode(self) -> None:
        mode = "hedge" if self.context.hedge_mode else "one-way"
        try:
            self.context.gateway.set_hedge_mode(enabled=self.context.hedge_mode)
        except NotModified:
            pass
        except AviGridError as error:
            self._note(
                "position_mode",
                f"The account cannot be put into {mode} mode ({error.code}): close what is open at the exchange first.",
                True,
            )
            return
        self._note("position_mode", "", False)

    def trends(self) -> dict[str, int]:
        """The 15m trend as each symbol's newest decision saw it; none where the last two bars brought no decision.

        Whatever version decided: the trend is the market's. A missing one is unknown, and ends no plan's entries.
        """
        symbols = Plan.objects.filter(account_id=self.context.account_id, status__in=OPEN_PLAN_STATUSES).values_list(
            "symbol", flat=True
        )
        since = from_ms(self.context.exchange_ms() - TREND_MAX_AGE_MS - BAR_5M_MS)
        newest = (
            Decision.objects.filter(symbol__in=set(symbols), bar_start__gte=since)
            .order_by("symbol", "-bar_start", "-id")
            .distinct("symbol")
        )
        found = {}
        for symbol, indicators in newest.values_list("symbol", "indicators"):
            trend = indicators.get("trend")
            if isinstance(trend, int):
                found[symbol] = trend
        return found

    def _note(self, code: str, sentence: str, is_wrong: bool) -> None:
        if not is_wrong:
            self.problems.pop(code, None)
            return
        if code not in self.problems:
            log.error("problem", code=code, sentence=sentence)
            self._tell(code, "critical", sentence)
        self.problems[code] = sentence

    def _tell(self, code: str, severity: str, sentence: str) -> None:
        now = self.context.now()
        alert_raise(
            kind=code,
            severity=severity,
            dedupe_key=f"{self.context.account_id}:{now:%Y-%m-%d-%H}",
            sentence=sentence,
            now=now,
        )
