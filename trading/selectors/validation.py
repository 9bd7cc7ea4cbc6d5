"""Forward validation of a strategy version: what its modelled plans came to, against the thresholds before live."""

from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.db.models import Count, Q, QuerySet

from marketdata.selectors.times import to_ms
from trading.avi5.window import BAR_5M_MS
from trading.backtest.validation import ModelledTrade, Verdict, judge
from trading.models import Decision, ModelledPlan, ModelledStatus, StrategyVersion

_DAY_MS = 86_400_000
REAL_MARKETS = ("mainnet", "demo")
"""Bybit's demo trades on mainnet's prices; testnet has a market of its own, a simulated exchange an invented one."""


@dataclass(frozen=True, slots=True)
class ValidationReport:
    """`verdict.checks`: each threshold with value, limit, passed or not, and a sentence. Counts are of signals."""

    version: StrategyVersion
    verdict: Verdict
    signals: int
    open: int
    closed: int
    not_filled: int
    skipped: int
    newest_bar: datetime | None
    """How far the open ones are modelled."""

    @property
    def is_ready(self) -> bool:
        return self.verdict.is_ready

    @property
    def not_filled_percent(self) -> float | None:
        """Of the modelled plans that are over, taken by the model or not filled in it; None before the first."""
        over = self.closed + self.not_filled
        return 100 * self.not_filled / over if over else None


def validation_report(version: StrategyVersion) -> ValidationReport:
    """Every closed modelled plan of this version, whatever its stage was: numbers prove themselves once."""
    rows = list(
        ModelledPlan.objects.filter(strategy=version, status=ModelledStatus.CLOSED)
        .order_by("closed_at", "id")
        .values_list("decided_at", "closed_at", "r", "modelled_slippage_bps", "observed_slippage_bps")
    )
    trades = [
        ModelledTrade(
            to_ms(decided_at),
            to_ms(closed_at),
            r,
            None if modelled is None or observed is None else modelled - observed,
        )
        for decided_at, closed_at, r, modelled, observed in rows
        if closed_at is not None
    ]
    counted = _counts(version)
    newest = ModelledPlan.objects.filter(strategy=version).order_by("-last_bar").values_list("last_bar", flat=True)
    return ValidationReport(
        version=version,
        verdict=judge(trades, days=days_decided(version), is_real_market=is_real_market(version)),
        signals=sum(counted.values()),
        open=counted[ModelledStatus.OPEN],
        closed=counted[ModelledStatus.CLOSED],
        not_filled=counted[ModelledStatus.NOT_FILLED],
        skipped=counted[ModelledStatus.SKIPPED],
        newest_bar=newest.first(),
    )


def days_decided(version: StrategyVersion) -> float:
    """Of market time: bars decided on, any symbol. Hours in which nothing ran do not count."""
    decided = Decision.objects.filter(strategy=version).exclude(status="warming_up")
    bars = decided.aggregate(bars=Count("bar_start", distinct=True))["bars"]
    return bars * BAR_5M_MS / _DAY_MS


def is_real_market(version: StrategyVersion) -> bool:
    """Every trade that counts was modelled on a real market's bars, and the next one would be too.

    One that ran on an invented market, or on nobody knows which, spoils the proof: the same numbers as a new version
    begin again.
    """
    if settings.AVIGRID["MARKET_ENVIRONMENT"] not in REAL_MARKETS:
        return False
    traded = ModelledPlan.objects.filter(strategy=version, status=ModelledStatus.CLOSED)
    return not traded.exclude(market__in=REAL_MARKETS).exists()


def modelled_plans(version: StrategyVersion) -> QuerySet[ModelledPlan]:
    """Newest first."""
    return ModelledPlan.objects.filter(strategy=version).select_related("signal").order_by("-decided_at", "-id")


def _counts(version: StrategyVersion) -> dict[str, int]:
    counts = {status.value: Count("pk", filter=Q(status=status)) for status in ModelledStatus}
    return ModelledPlan.objects.filter(strategy=version).aggregate(**counts)
