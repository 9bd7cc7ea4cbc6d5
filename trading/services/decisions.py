"""From a stored bar to a stored decision, and from a passing one to a signal.

The bar's identity decides once: a second evaluation finds the row and changes nothing. All times are the exchange's;
where a simulated one runs faster than the wall, a person's deadline is stretched by its rate, so that 60 s stay 60 s.
"""

import math
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

import numpy as np
from django.db import transaction
from django.db.models import QuerySet

from accounts.services.audit import audit
from avigrid.common import push
from avigrid.kernel.errors import InvalidCandle
from avigrid.kernel.instrument import FeeRates
from avigrid.kernel.market import BookFeatures, Kline
from marketdata.selectors.instruments import instrument
from marketdata.selectors.recent_bars import recent_bars
from marketdata.selectors.times import to_datetime
from trading.avi5 import decide as avi5
from trading.avi5.config import StrategyConfig
from trading.avi5.levels import plan_for
from trading.avi5.spec import PlanSpec, Refusal
from trading.avi5.window import BAR_5M_MS, BAR_15M_MS, Bars, Closes, MarketWindow, Millis
from trading.models import Decision, Signal, SignalStatus, StrategyVersion
from trading.selectors.strategy import config_of
from trading.selectors.win_rate import p_win
from trading.services.decision_insert import decision_insert

SIGNAL_FRESH_S = 60.0
_NOTE_MAX = 200


@dataclass(frozen=True, slots=True)
class Decided:
    """What one bar came to; `is_new` False: it had been decided before and nothing changed."""

    decision: Decision
    signal: Signal | None
    is_new: bool


def bar_decide(
    *,
    version: StrategyVersion,
    bar: Kline,
    features: BookFeatures | None,
    decided_ms: int,
    next_funding_ms: int | None,
    fees: FeeRates,
    r_usd: Decimal,
    now: datetime,
    rate_ratio: float = 1.0,
    note: str = "",
    config: StrategyConfig | None = None,
) -> Decided:
    """Decide on a confirmed 5m bar with everything stored up to it.

    `decided_ms` and `now` are exchange time, `rate_ratio` its speed against the wall; `note` is kept with the decision
    (missed bars fetched, ...). `config` is the version's, where the caller has read it already.
    Raises InvalidCandle where the stored history has a hole: the caller heals the gap and asks again.
    """
    config = config or config_of(version)
    try:
        window = market_window(bar.symbol, bar.start_ms + BAR_5M_MS, config.history_5m_bars, config.history_15m_bars)
        if not len(window.bars_5m) or window.bar_start_ms != bar.start_ms:
            raise InvalidCandle(f"{bar.symbol} bar {bar.start_ms} is not the newest stored one", code="gap")
        outcome = avi5.decide(
            window,
            features,
            config,
            now_ms=decided_ms,
            next_funding_ms=next_funding_ms,
            fees=fees,
            allow_proxy=False,
        )
    except InvalidCandle:
        known = _known(version, bar.symbol, bar.start_ms)
        if known is None:
            raise
        return known
    spec = None
    if outcome.direction:
        spec = plan_for(outcome, config, instrument=instrument(bar.symbol), fees=fees, r_usd=r_usd)
    valid_until = now + timedelta(seconds=SIGNAL_FRESH_S * max(rate_ratio, 1.0))
    return _store(version, outcome, spec, now, valid_until, note, window)


def market_window(symbol: str, close_ms: int, count_5m: int, count_15m: int) -> MarketWindow:
    """Stored bars that had closed at `close_ms`, newest gap-free stretch only."""
    fine, trend = recent_bars(symbol, close_ms, count_5m, count_15m)
    bars_5m, bars_15m = Bars(fine.start_ms, **fine.values), Closes(trend.start_ms, **trend.values)
    return MarketWindow(
        symbol,
        bars_5m.part(_after_holes(bars_5m.start_ms, BAR_5M_MS), len(bars_5m)),
        bars_15m.part(_after_holes(bars_15m.start_ms, BAR_15M_MS), len(bars_15m)),
    )


def _after_holes(start_ms: Millis, step_ms: int) -> int:
    """History before a hole does not count: warm-up begins after it."""
    holes = np.flatnonzero(np.diff(start_ms) != step_ms)
    return int(holes[-1]) + 1 if len(holes) else 0


def _store(
    version: StrategyVersion,
    outcome: avi5.Decision,
    spec: PlanSpec | None,
    now: datetime,
    valid_until: datetime,
    note: str,
    window: MarketWindow,
) -> Decided:
    """A decision without a signal is one statement; with one, both are stored or neither."""
    record = avi5.decision_record(outcome)
    rules = {"long": record.pop("long_rules"), "short": record.pop("short_rules"), "failed": record.pop("failed_rules")}
    # how far it could look back: to make it again, bars that were filled in later must not be looked at
    record |= {"bars_5m": len(window.bars_5m), "bars_15m": len(window.bars_15m)}
    decision = Decision(
        strategy=version,
        symbol=outcome.symbol,
        bar_start=to_datetime(outcome.bar_start_ms),
        decided_at=to_datetime(outcome.decided_ms),
        status=outcome.status.value,
        direction=outcome.direction,
        score=outcome.score if math.isfinite(outcome.score) else None,
        used_proxy=outcome.used_proxy,
        rules=rules,
        indicators=record,
        reason=note[:_NOTE_MAX],
    )
    signal = None
    with nullcontext() if spec is None else transaction.atomic():
        is_new = decision_insert(decision)
        if is_new and spec is not None:
            signal = _signal_create(decision, spec, now, valid_until)
    if not is_new:
        known = _known(version, outcome.symbol, outcome.bar_start_ms)
        assert known is not None
        return known
    push.event("decision", {"symbol": decision.symbol, "status": decision.status})
    return Decided(decision, signal, is_new=True)


def _known(version: StrategyVersion, symbol: str, bar_start_ms: int) -> Decided | None:
    """What was decided before: another process, or this one before it was started again."""
    rows = Decision.objects.filter(strategy=version, symbol=symbol, bar_start=to_datetime(bar_start_ms))
    decision = rows.first()
    return None if decision is None else Decided(decision, decision.signals.first(), is_new=False)


def _signal_create(decision: Decision, spec: PlanSpec, now: datetime, valid_until: datetime) -> Signal:
    """A newer signal on a symbol replaces what was still on offer there."""
    status, reason = SignalStatus.NEW, ""
    if spec.refusal is not None:
        below = spec.refusal is Refusal.BELOW_MINIMUM
        status = SignalStatus.BELOW_MINIMUM if below else SignalStatus.REJECTED
        reason = spec.refusal.value
    else:
        older = Signal.objects.filter(symbol=spec.symbol).select_for_update()
        _take_off(older, SignalStatus.SUPERSEDED, "a newer signal replaced it")
    signal = Signal.objects.create(
        decision=decision,
        symbol=spec.symbol,
        direction=spec.direction,
        profile=spec.profile.value,
        entry_price=spec.entry,
        stop_price=spec.stop,
        take_profits=[str(tp.price) for tp in spec.take_profits] or [str(rung.take_profit) for rung in spec.rungs],
        spec=spec.to_json(),
        risk_usd=spec.planned_loss_usd,
        score=decision.score,
        p_win=p_win(decision.score) if decision.score is not None else None,
        status=status,
        reason=reason,
        created_at=now,
        valid_until=valid_until,
    )
    audit(
        actor="strategy",
        action="signal.created",
        obj=signal,
        after={"symbol": signal.symbol, "direction": signal.direction, "entry": spec.entry, "stop": spec.stop,
               "status": signal.status},
    )  # fmt: skip
    push.event("signal", {"signal_id": signal.pk, "symbol": signal.symbol, "status": signal.status, "plan_id": None})
    return signal


def signals_expire(*, now: datetime) -> int:
    """What nobody placed in time is no longer on offer. Returns how many changed."""
    with transaction.atomic():
        late = Signal.objects.filter(valid_until__lt=now).select_for_update(skip_locked=True)
        return _take_off(late, SignalStatus.EXPIRED, "nobody placed it in time")


def _take_off(signals: QuerySet[Signal], status: SignalStatus, reason: str) -> int:
    """Those of `signals`, locked by their query, that are still on offer; returns how many."""
    gone = list(signals.filter(status__in=(SignalStatus.NEW, SignalStatus.QUEUED)).values_list("pk", "symbol"))
    if gone:
        Signal.objects.filter(pk__in=[pk for pk, _ in gone]).update(status=status, reason=reason)
    for pk, symbol in gone:
        push.event("signal", {"signal_id": pk, "symbol": symbol, "status": status.value, "plan_id": None})
    return len(gone)
