"""Live against the backtest's path: every stored decision beside the one a replay of the stored bars takes. Reads only.

`parity` makes a decision again from the window the live process saw. Here the bars are loaded as for a backtest, their
indicators come from one pass over all of them, and `decision_at` and the screen of `candidates` decide. What depends on
the moment of deciding (`fresh`, `funding`) is left out: a replay decides at the close. Where live had no book it passed
nothing and a replay takes the bar proxy: such a bar is compared in all but what the book tells.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
from django.db.models import Max, Min, QuerySet

from avigrid.kernel.errors import AviGridError
from avigrid.kernel.instrument import FeeRates
from marketdata.selectors.instruments import instrument
from marketdata.selectors.times import to_ms
from trading.avi5.config import StrategyConfig
from trading.avi5.decide import Decision as Replayed
from trading.avi5.decide import JsonValue, decision_record
from trading.avi5.levels import plan_for
from trading.avi5.spec import PlanSpec
from trading.avi5.window import BAR_5M_MS, BAR_15M_MS
from trading.backtest.series import candidates, decision_at, indicator_series
from trading.models import Decision
from trading.selectors.replay_data import stored_market_data
from trading.selectors.strategy import config_of

TOLERANCE = 1e-9
_OF_THE_MOMENT = frozenset({"fresh", "funding"})
_OF_THE_BOOK = frozenset({"imbalance", "microprice", "spread", "liquidity"})
_BAR_VALUES = (
    *("close", "vwap", "sigma", "atr", "donchian_high", "donchian_low", "atr_pct", "ema_fast", "ema_slow", "trend"),
    *("hour", "distance", "slippage_bps", "cost_r"),
)
_BOOK_VALUES = ("imbalance", "microprice", "mid", "spread_bps", "depth_usd", "score")


@dataclass(frozen=True, slots=True)
class Mismatch:
    symbol: str
    bar_start_ms: int
    what: str


@dataclass(frozen=True, slots=True)
class Replay:
    """`left_out`: decided on less history than is stored by now, so that a replay cannot see the same."""

    compared: int
    left_out: int
    mismatches: tuple[Mismatch, ...]


@dataclass(slots=True)
class _Count:
    compared: int = 0
    left_out: int = 0


def replay_check(rows: QuerySet[Decision], *, fees: FeeRates) -> Replay:
    """`fees` stand in where a decision does not name its own."""
    count = _Count()
    found = tuple(_mismatches(rows, fees, count))
    return Replay(count.compared, count.left_out, found)


def _mismatches(rows: QuerySet[Decision], fees: FeeRates, count: _Count) -> Iterator[Mismatch]:
    groups = rows.order_by().values("strategy", "symbol").annotate(first=Min("bar_start"), last=Max("bar_start"))
    for group in groups.order_by("strategy", "symbol"):
        first_ms, last_ms = to_ms(group["first"]), to_ms(group["last"])
        of_group = rows.filter(strategy=group["strategy"], symbol=group["symbol"]).order_by("bar_start")
        yield from _of_one_symbol(of_group, group["symbol"], first_ms, last_ms, fees, count)


def _of_one_symbol(
    rows: QuerySet[Decision], symbol: str, first_ms: int, last_ms: int, fees: FeeRates, count: _Count
) -> Iterator[Mismatch]:
    config = config_of(rows[0].strategy)
    try:
        data = stored_market_data(symbol, config, from_ms=first_ms, to_ms=last_ms + BAR_5M_MS)
    except AviGridError as error:
        yield Mismatch(symbol, first_ms, f"its bars cannot be replayed: {error.message}")
        return
    series = indicator_series(data, config)
    closed_15m = np.searchsorted(data.bars_15m.start_ms + BAR_15M_MS, series.close_ms, side="right").tolist()
    at = {int(start): i for i, start in enumerate(data.bars_5m.start_ms.tolist())}
    screens: dict[FeeRates, list[int]] = {}
    for row in rows.prefetch_related("signals").iterator(chunk_size=500):
        start_ms, paid = to_ms(row.bar_start), recorded_fees(row, fees)
        if start_ms not in at:
            yield Mismatch(symbol, start_ms, "its bar is not stored any more")
            continue
        i = at[start_ms]
        seen_5m, seen_15m = recorded_depth(row, config)
        if min(i + 1, config.history_5m_bars) > seen_5m or min(closed_15m[i], config.history_15m_bars) > seen_15m:
            count.left_out += 1
            continue
        count.compared += 1
        if paid not in screens:
            screens[paid] = candidates(data, series, config, paid).tolist()
        replayed = decision_at(data, series, i, config, paid)
        wrong = [*_values(row, replayed), *_rules(row, replayed)]
        if screens[paid][i] != replayed.direction:
            wrong.append("the screen")
        if wrong:
            yield Mismatch(symbol, start_ms, "the replayed decision differs in " + ", ".join(wrong))
        elif replayed.direction and replayed.direction == row.direction:
            yield from _plans(row, replayed, config)


def recorded_fees(row: Decision, otherwise: FeeRates) -> FeeRates:
    """Those the decision counted with."""
    found = row.indicators
    if "taker_fee" not in found or "maker_fee" not in found:
        return otherwise
    return FeeRates(Decimal(found["taker_fee"]), Decimal(found["maker_fee"]))


def recorded_depth(row: Decision, config: StrategyConfig) -> tuple[int, int]:
    """5m and 15m bars it could look back on; one that does not tell had all it asks for."""
    found = row.indicators
    return found.get("bars_5m", config.history_5m_bars), found.get("bars_15m", config.history_15m_bars)


def _has_book(row: Decision, replayed: Replayed) -> bool:
    return row.indicators.get("imbalance") is not None or not replayed.used_proxy


def _values(row: Decision, replayed: Replayed) -> Iterator[str]:
    record, found = decision_record(replayed), row.indicators
    names = (*_BAR_VALUES, *_BOOK_VALUES) if _has_book(row, replayed) else _BAR_VALUES
    for name in names:
        if not _close(found.get(name), record[name]):
            yield name


def _rules(row: Decision, replayed: Replayed) -> Iterator[str]:
    """Passed or not, rule by rule and, where nothing was left out, as a whole."""
    skipped = _OF_THE_MOMENT if _has_book(row, replayed) else _OF_THE_MOMENT | _OF_THE_BOOK
    left_out = False
    for side, outcomes in (("long", replayed.long_rules), ("short", replayed.short_rules)):
        live = {rule["rule"]: rule["passed"] for rule in row.rules[side]}
        for outcome in outcomes:
            if live.get(outcome.rule.value) == outcome.passed:
                continue
            if outcome.rule.value in skipped:
                left_out = True
            else:
                yield f"{side} {outcome.rule.value}"
    if not left_out and row.direction != replayed.direction:
        yield "direction"


def _plans(row: Decision, replayed: Replayed, config: StrategyConfig) -> Iterator[Mismatch]:
    for signal in row.signals.all():
        stored = PlanSpec.from_json(signal.spec)
        fees = FeeRates(stored.taker_fee, stored.maker_fee)
        spec = plan_for(replayed, config, instrument=instrument(row.symbol), fees=fees, r_usd=stored.r_usd)
        if _orders(spec) != _orders(stored):
            yield Mismatch(row.symbol, replayed.bar_start_ms, "the replayed plan differs from the signal's")


def _orders(spec: PlanSpec) -> tuple[object, ...]:
    """What would be sent; the distance behind it may differ in its last digit."""
    rungs = [(rung.price, rung.limit_price, rung.quantity, rung.take_profit) for rung in spec.rungs]
    return spec.direction, spec.entry, spec.stop, rungs, spec.take_profits, spec.refusal


def _close(a: JsonValue, b: JsonValue) -> bool:
    if isinstance(a, int | float) and isinstance(b, int | float):
        return abs(a - b) <= TOLERANCE * max(abs(a), abs(b))
    return a == b
