"""Live against replay: every stored decision and signal is made again from what is stored. Reads only.

Twice: from the window the live process saw, to the byte, and on the backtest's own path (`parity_replay`).

A decision is made again with the fees its own record names; only one from before they were recorded needs to be told.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from django.db.models import Max

from avigrid.kernel.errors import AviGridError
from avigrid.kernel.instrument import FeeRates
from marketdata.selectors.book_features import book_feature
from marketdata.selectors.instruments import instrument
from marketdata.selectors.times import to_datetime, to_ms
from trading.avi5 import decide as avi5
from trading.avi5.levels import plan_for
from trading.avi5.spec import PlanSpec
from trading.avi5.window import BAR_5M_MS
from trading.models import Decision, Signal
from trading.selectors.strategy import config_of
from trading.services.decisions import market_window
from trading.services.parity_replay import Mismatch, Replay, recorded_depth, recorded_fees, replay_check

_FEES = frozenset({"taker_fee", "maker_fee"})


@dataclass(frozen=True, slots=True)
class Parity:
    """`mismatches` with the live window, `replay` on the backtest's path."""

    decisions: int
    signals: int
    mismatches: tuple[Mismatch, ...]
    replay: Replay

    @property
    def is_clean(self) -> bool:
        return not self.mismatches and not self.replay.mismatches


def parity_check(
    *, from_ms: int | None = None, to_ms_: int | None = None, symbols: tuple[str, ...] = (), fees: FeeRates
) -> Parity:
    """Decisions of bars that start in [from_ms, to_ms_). `fees` stand in where a decision does not name its own."""
    rows = Decision.objects.select_related("strategy").order_by("bar_start", "symbol")
    if from_ms is not None:
        rows = rows.filter(bar_start__gte=to_datetime(from_ms))
    if to_ms_ is not None:
        rows = rows.filter(bar_start__lt=to_datetime(to_ms_))
    if symbols:
        rows = rows.filter(symbol__in=symbols)
    # on a living desk decisions are added meanwhile: both ways must look at the same ones
    rows = rows.filter(pk__lte=rows.aggregate(newest=Max("pk"))["newest"] or 0)
    count = signals = 0
    found: list[Mismatch] = []
    for row in rows.iterator(chunk_size=500):
        count += 1
        made = list(row.signals.all())
        signals += len(made)
        found += _differences(row, made, fees)
    return Parity(count, signals, tuple(found), replay_check(rows, fees=fees))


def _differences(row: Decision, made: list[Signal], fees: FeeRates) -> Iterator[Mismatch]:
    start_ms = to_ms(row.bar_start)
    try:
        outcome = _again(row, fees)
    except AviGridError as error:
        yield Mismatch(row.symbol, start_ms, f"cannot be replayed: {error.message}")
        return
    record = avi5.decision_record(outcome)
    rules = {"long": record.pop("long_rules"), "short": record.pop("short_rules"), "failed": record.pop("failed_rules")}
    if not row.indicators.keys() >= _FEES:
        record = {name: value for name, value in record.items() if name not in _FEES}
    wrong = [name for name, value in record.items() if row.indicators.get(name) != value]
    wrong += [f"{side} rules" for side, outcomes in rules.items() if row.rules.get(side) != outcomes]
    if wrong:
        yield Mismatch(row.symbol, start_ms, "decision differs in " + ", ".join(wrong))
    for signal in made:
        stored = PlanSpec.from_json(signal.spec)
        spec = plan_for(
            outcome,
            config_of(row.strategy),
            instrument=instrument(row.symbol),
            fees=FeeRates(stored.taker_fee, stored.maker_fee),
            r_usd=stored.r_usd,
        )
        if spec != stored:
            yield Mismatch(row.symbol, start_ms, "plan differs from the signal's")


def _again(row: Decision, fees: FeeRates) -> avi5.Decision:
    config = config_of(row.strategy)
    start_ms, decided_ms = to_ms(row.bar_start), to_ms(row.decided_at)
    window = market_window(row.symbol, start_ms + BAR_5M_MS, *recorded_depth(row, config))
    funding = next(rule["value"] for rule in row.rules["long"] if rule["rule"] == "funding")
    next_funding_ms = None if funding is None else decided_ms + round(Decimal(str(funding)) * 60_000)
    return avi5.decide(
        window,
        book_feature(row.symbol, start_ms),
        config,
        now_ms=decided_ms,
        next_funding_ms=next_funding_ms,
        fees=recorded_fees(row, fees),
        allow_proxy=False,
    )
