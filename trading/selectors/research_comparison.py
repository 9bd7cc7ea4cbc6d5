"""Two finished research runs side by side: what they were asked, on which numbers and bars, what they found."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from trading.models import ResearchKind, ResearchRun, ResearchStatus
from trading.selectors.research import research_run, used_proxy

type Value = float | int | str | None
_MEASURES = (
    *("trades", "win_rate", "profit_factor", "expectancy_r", "sum_r", "median_r", "best_r", "worst_r"),
    *("max_drawdown_r", "max_drawdown_ratio", "exposure_ratio", "net_usd", "gross_usd", "fees_usd", "funding_usd"),
    *("slippage_usd", "turnover_usd", "average_hold_min", "average_cost_r", "signals", "plans", "bars"),
)
_SWEEP_MEASURES = (
    *("trades", "win_rate", "profit_factor", "expectancy_r", "sum_r", "fees_r", "closed_drawdown_r"),
    *("neighbours_median_r", "neighbours_worst_r"),
)


@dataclass(frozen=True, slots=True)
class Row:
    """`change` is b - a where both are numbers."""

    name: str
    a: Value
    b: Value
    change: float | None = None


@dataclass(frozen=True, slots=True)
class Comparison:
    """`config` and `params` hold only what differs. Numbers over other bars compare the bars too: `same_data`.

    `proxied`: those of the two whose imbalance was estimated from bars.
    """

    a: ResearchRun
    b: ResearchRun
    same_data: bool
    proxied: tuple[int, ...]
    params: tuple[Row, ...]
    config: tuple[Row, ...]
    measures: tuple[Row, ...]


def compare_runs(first_id: int, second_id: int) -> Comparison | None:
    """Two finished runs of one kind; None where there are no such two."""
    a, b = research_run(first_id), research_run(second_id)
    if a is None or b is None or a.kind != b.kind or {a.status, b.status} != {ResearchStatus.DONE}:
        return None
    ours, theirs = _measures(a), _measures(b)
    names = [*ours, *(name for name in theirs if name not in ours)]
    return Comparison(
        a=a,
        b=b,
        same_data=bool(a.data_hash) and a.data_hash == b.data_hash,
        proxied=tuple(run.pk for run in (a, b) if used_proxy(run)),
        params=_differing(a.params, b.params),
        config=_differing(a.config, b.config),
        measures=tuple(_row(name, ours.get(name), theirs.get(name)) for name in names),
    )


def _measures(run: ResearchRun) -> dict[str, Value]:
    result = run.result or {}
    if run.kind == ResearchKind.BACKTEST:
        return {name: result["metrics"][name] for name in _MEASURES}
    if run.kind == ResearchKind.SWEEP:
        best = result["top"][0]
        return {"configs": result["configs"], **{name: best[name] for name in _SWEEP_MEASURES}}
    return dict(_calibrated(result))


def _calibrated(result: Mapping) -> Iterator[tuple[str, Value]]:
    hours = result["hours"]
    yield "accepted_hours", sum(hour["is_accepted"] for hour in hours)
    yield "dead_hours", sum(hour["is_dead"] for hour in hours)
    yield "recent_psi", result["recent_psi"]
    for hour in hours:
        name = f"{hour['hour']:02d}h"
        yield f"{name} theta", hour["theta"]
        yield f"{name} pf_out", hour["pf_out"]


def _row(name: str, a: Value, b: Value) -> Row:
    numbers = isinstance(a, int | float) and isinstance(b, int | float)
    return Row(name, a, b, float(b) - float(a) if numbers else None)  # type: ignore[arg-type]


def _differing(a: Mapping[str, object], b: Mapping[str, object]) -> tuple[Row, ...]:
    names = sorted({*a, *b})
    return tuple(Row(name, _shown(a.get(name)), _shown(b.get(name))) for name in names if a.get(name) != b.get(name))


def _shown(value: object) -> Value:
    return value if value is None or isinstance(value, int | float | str) else str(value)
