"""The replay of one symbol: decisions bar by bar, one plan at a time, `decide_on` and `next_actions` in charge.

A decision on bar i acts from the open of bar i+1. While a plan lives, further signals are counted, not taken.
"""

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np

from avigrid.kernel.instrument import FeeRates, Instrument
from trading.avi5.config import StrategyConfig
from trading.avi5.decide import Decision
from trading.avi5.levels import plan_for
from trading.backtest.data import MarketData
from trading.backtest.holdings import Segment
from trading.backtest.plan_run import PlanRun
from trading.backtest.result import BacktestSettings, PlanResult, SymbolResult
from trading.backtest.series import candidates, decision_at, first_bar, indicator_series, lacks_books
from trading.backtest.track import Track, build_track


def run_backtest(
    data: MarketData,
    config: StrategyConfig,
    *,
    instrument: Instrument,
    settings: BacktestSettings | None = None,
    from_ms: int | None = None,
    look_at_every_bar: bool = False,
) -> SymbolResult:
    """Decisions are taken on warm bars that close after `from_ms`; earlier bars only warm up.

    `look_at_every_bar` steps open plans on every bar instead of where something can happen: slower, same result.
    """
    settings = settings or BacktestSettings()
    series = indicator_series(data, config)
    cut = first_bar(data, series, config, from_ms)
    track = build_track(data, series, config)
    screen = candidates(data, series, config, settings.fees)
    screen[:cut] = 0
    signals = np.flatnonzero(screen).tolist()
    count = len(data.bars_5m)
    plans: list[PlanResult] = []
    segments: list[Sequence[Segment]] = []
    skipped: Counter[str] = Counter()
    last_entry_ms: dict[int, int] = {}
    free_from = 0
    for i in signals:
        if i < free_from:
            skipped["plan_open"] += 1
            continue
        if i + 1 >= count:
            skipped["last_bar"] += 1
            continue
        direction, close_ms = int(screen[i]), int(series.close_ms[i])
        if close_ms - last_entry_ms.get(direction, -settings.anti_churn_ms) < settings.anti_churn_ms:
            skipped["anti_churn"] += 1
            continue
        decision = decision_at(data, series, i, config, settings.fees)
        if decision.direction != direction:
            skipped["screen_differs"] += 1
            continue
        spec = plan_for(decision, config, instrument=instrument, fees=settings.fees, r_usd=settings.r_usd)
        if spec.refusal is not None:
            skipped[spec.refusal.value] += 1
            continue
        run = PlanRun(
            number=len(plans) + 1,
            decision=decision,
            spec=spec,
            track=track,
            first=track.first_of[i + 1],
            config=config,
            settings=settings,
            look_at_every_bar=look_at_every_bar,
        )
        plan = run.run()
        plans.append(plan)
        segments.append(run.segments)
        if plan.is_traded:
            last_entry_ms[direction] = close_ms
        free_from = track.bar_of[plan.last_bar]
    equity, held = _equity(data, track, segments)
    return SymbolResult(
        symbol=data.symbol,
        start_ms=data.bars_5m.start_ms[cut:],
        close=data.bars_5m.close[cut:],
        equity_usd=equity[cut:],
        in_position=held[cut:],
        plans=tuple(plans),
        signals=len(signals),
        skipped=dict(sorted(skipped.items())),
        warm_bars=int(series.is_warm[cut:].sum()),
        used_proxy=lacks_books(data, series, cut),
        is_15m_aggregated=data.is_15m_aggregated,
        one_minute_share=data.one_minute_share,
        funding_missing=track.funding_missing,
        data_hash=data.data_hash,
        config=config,
        settings=settings,
    )


def decisions_of(
    data: MarketData, config: StrategyConfig, *, fees: FeeRates, from_ms: int | None = None
) -> Iterator[Decision]:
    """The decision on every bar, warming up or not, as the replay would take it."""
    series = indicator_series(data, config)
    for i in range(len(data.bars_5m)):
        if from_ms is None or int(series.close_ms[i]) > from_ms:
            yield decision_at(data, series, i, config, fees)


def _equity(data: MarketData, track: Track, runs: Sequence[Sequence[Segment]]) -> tuple[np.ndarray, np.ndarray]:
    """Profit and loss, open one included, at the close of each 5m bar, and where a position was held.

    A plan's last segment is flat: everything after it is the sum of what was realised.
    """
    fine_close = data.fine.close
    count = len(fine_close)
    equity = np.zeros(count)
    held = np.zeros(count, dtype=np.bool_)
    base = 0.0
    reached = 0
    for segments in runs:
        for segment, following in zip(segments, segments[1:], strict=False):
            equity[reached : segment.bar] = base
            part = slice(segment.bar, following.bar)
            open_pnl = segment.signed_qty * (fine_close[part] - segment.average)
            equity[part] = base + segment.realised_usd + open_pnl
            held[part] = segment.signed_qty != 0
            reached = max(reached, following.bar)
        if segments:
            base += segments[-1].realised_usd
    equity[reached:] = base
    last_fine = data.fine_of_5m[1:] - 1
    return equity[last_fine], np.maximum.reduceat(held, data.fine_of_5m[:-1])
