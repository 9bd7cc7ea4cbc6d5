"""A replay as JSON, CSV and one HTML page. Same inputs, same bytes: nothing here looks at a clock."""

import csv
import io
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

from avigrid.kernel.money import plain
from trading.avi5.decide import Decision
from trading.backtest.metrics import Metrics, measure
from trading.backtest.result import PlanResult, SymbolResult

_PLAN_COLUMNS = (
    *("plan", "symbol", "profile", "direction", "decided_ms", "closed_ms", "status", "reason"),
    *("entry", "stop", "score", "cost_r", "used_proxy"),
)
_LEG_COLUMNS = (
    *("rung", "cycle", "entry_ms", "entry_price", "exit_ms", "exit_price", "quantity", "exit"),
    *("gross_usd", "fees_usd", "slippage_usd", "net_usd"),
)
TRADE_COLUMNS = (*_PLAN_COLUMNS, *_LEG_COLUMNS, "plan_funding_usd", "plan_net_usd", "plan_r")
DECISION_COLUMNS = (
    *("start_ms", "direction", "vwap", "sigma", "atr", "donchian_high", "donchian_low"),
    *("imbalance", "trend", "atr_pct", "score", "failed_rules"),
)


@dataclass(frozen=True, slots=True)
class Report:
    results: tuple[SymbolResult, ...]
    metrics: Metrics
    assumptions: tuple[str, ...]


def make_report(results: Sequence[SymbolResult]) -> Report:
    return Report(tuple(results), measure(results), assumptions(results))


def assumptions(results: Sequence[SymbolResult]) -> tuple[str, ...]:
    """What the numbers rest on, in sentences."""
    first = results[0]
    config, settings = first.config, first.settings
    fees = settings.fees
    told = [
        "A decision on a bar acts from the open of the next one; nothing placed during a bar fills in it.",
        "A resting limit fills only if the bar trades through it by one tick, then whole and at its price.",
        "Stop and take-profit inside one bar: the stop is taken first, and every rung on the way to it has filled.",
        f"Taker fills slip {config.slippage_bps:g} bps, +{config.slippage_volatile_bps:g} if the ATR percentile is "
        f"above {config.volatile_percentile:g}, +{config.slippage_thin_bps:g} if depth is known and below "
        f"{config.thin_depth_usd:,.0f} USD; a stop that the bar opens beyond fills from the open.",
        f"The first order is an IOC limit {config.max_slippage_bps:g} bps beyond the close: when the slipped price "
        "lies further away it does not fill, and the plan ends as failed_underfill.",
        f"Fees: taker {float(fees.taker):.4%}, maker {float(fees.maker):.4%}. Funding at 00, 08 and 16 UTC from "
        "recorded rates, else 0.01 %.",
        f"1R = {plain(settings.r_usd)} USD, not compounded; start equity {plain(settings.start_equity_usd)} USD.",
        f"One plan a symbol at a time; {settings.anti_churn_ms // 60_000} minutes between entries of one side.",
        "What is open when the data ends is closed at the last price as a taker.",
        "Maker orders are never partly filled and never queue behind others; market impact is not modelled.",
    ]
    if any(result.used_proxy for result in results):
        told.append(
            "IMBALANCE PROXY USED: no order book was recorded for some or all bars; imbalance is estimated from bars, "
            "and the microprice, spread and liquidity rules pass."
        )
    if any(result.is_15m_aggregated for result in results):
        told.append("15m bars are made of three 5m bars each, not the exchange's own 15m klines.")
    for result in results:
        if result.one_minute_share:
            told.append(f"{result.symbol}: fills on 1m bars in {result.one_minute_share:.1%} of the 5m bars.")
        if result.funding_missing:
            told.append(f"{result.symbol}: {result.funding_missing} funding rates were not recorded: 0.01 % used.")
    return tuple(told)


def report_json(report: Report) -> str:
    """Sorted keys, no NaN."""
    first = report.results[0]
    content = {
        "strategy": "avi5",
        "config": first.config.to_mapping(),
        "config_hash": first.config.config_hash,
        "data": [
            {
                "symbol": result.symbol,
                "data_hash": result.data_hash,
                "bars": len(result.start_ms),
                "warm_bars": result.warm_bars,
                "from_ms": int(result.start_ms[0]),
                "to_ms": int(result.start_ms[-1]) + 300_000,
                "used_proxy": result.used_proxy,
                "is_15m_aggregated": result.is_15m_aggregated,
                "one_minute_share": result.one_minute_share,
                "funding_missing": result.funding_missing,
            }
            for result in report.results
        ],
        "r_usd": str(first.settings.r_usd),
        "start_equity_usd": str(first.settings.start_equity_usd),
        "fees": {"taker": str(first.settings.fees.taker), "maker": str(first.settings.fees.maker)},
        "assumptions": list(report.assumptions),
        "metrics": asdict(report.metrics),
    }
    return json.dumps(content, sort_keys=True, indent=1, allow_nan=False) + "\n"


def trades_csv(results: Sequence[SymbolResult]) -> str:
    """One row per exit; a plan in which nothing filled has one row without exit."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(TRADE_COLUMNS)
    for result in results:
        for plan in result.plans:
            writer.writerows(_trade_rows(plan))
    return out.getvalue()


def decisions_csv_rows(decisions: Iterator[Decision]) -> Iterator[list[str]]:
    """Header, then one row per bar; not warm values are empty. `imbalance` is the one the rule saw."""
    yield list(DECISION_COLUMNS)
    for decision in decisions:
        it = decision.indicators
        yield [
            str(decision.bar_start_ms),
            str(decision.direction),
            *(
                _number(value)
                for value in (it.vwap, it.sigma, it.atr, it.donchian_high, it.donchian_low, decision.imbalance)
            ),
            str(it.trend),
            _number(it.atr_percentile),
            _number(decision.score),
            "|".join(rule.value for rule in decision.failed_rules),
        ]


def _trade_rows(plan: PlanResult) -> Iterator[list[str]]:
    head = [
        str(plan.number),
        plan.symbol,
        plan.profile,
        str(plan.direction),
        str(plan.decided_ms),
        str(plan.closed_ms),
        plan.status,
        plan.reason,
        plain(plan.entry),
        plain(plan.stop),
        _number(plan.score),
        _number(plan.cost_r),
        str(int(plan.used_proxy)),
    ]
    tail = [f"{plan.funding_usd:.8f}", f"{plan.net_usd:.8f}", f"{plan.r:.6f}"]
    if not plan.legs:
        yield [*head, *[""] * len(_LEG_COLUMNS), *tail]
    for leg in plan.legs:
        yield [
            *head,
            str(leg.rung),
            str(leg.cycle),
            str(leg.entry_ms),
            plain(leg.entry_price),
            str(leg.exit_ms),
            plain(leg.exit_price),
            plain(leg.quantity),
            leg.exit,
            f"{leg.gross_usd:.8f}",
            f"{leg.fees_usd:.8f}",
            f"{leg.slippage_usd:.8f}",
            f"{leg.net_usd:.8f}",
            *tail,
        ]


def _number(value: float) -> str:
    return repr(value) if math.isfinite(value) else ""
