"""The report as one self-contained page: tables and inline SVG, no script, nothing loaded from anywhere."""

from collections.abc import Iterator, Sequence
from html import escape

import numpy as np

from trading.backtest import svg
from trading.backtest.metrics import Group, joint_equity
from trading.backtest.report import Report
from trading.backtest.result import SymbolResult
from trading.backtest.times import utc

POINTS = 900
STYLE = """
body{font:14px/1.45 system-ui,sans-serif;margin:24px auto;max-width:1000px;padding:0 16px;color:#1c2024;background:#fff}
h1{font-size:20px}h2{font-size:16px;margin-top:28px}table{border-collapse:collapse;font-variant-numeric:tabular-nums}
td,th{padding:3px 10px;text-align:right;border-bottom:1px solid #e3e6e8}td:first-child,th:first-child{text-align:left}
.warn{border-left:4px solid #b35900;padding:6px 12px;background:#fff6ec}figure{margin:16px 0}figcaption{font-weight:600}
svg{width:100%;height:auto}svg text{font-size:11px;fill:#5b646b}.rule{stroke:#eceff1}.zero{stroke:#8b949b}
.price{stroke:#5b646b;stroke-width:1}.equity{stroke:#2563a8;stroke-width:1.5}.drawdown{stroke:#b3261e;stroke-width:1.2}
.gain{fill:#1b7f4b}.loss{fill:#b3261e}.open-long{fill:#2563a8}.open-short{fill:#8a4fbf}
@media(prefers-color-scheme:dark){body{color:#e6e9eb;background:#14181b}td,th{border-color:#2c3338}.rule{stroke:#23292d}
svg text{fill:#9aa4ab}.warn{background:#2b2116}.price{stroke:#9aa4ab}}
"""


def report_html(report: Report) -> str:
    m = report.metrics
    first = report.results[0]
    symbols = ", ".join(result.symbol for result in report.results)
    parts = [
        "<!doctype html>",
        f'<html lang="en"><head><meta charset="utf-8"><title>AVI-5 {escape(symbols)}</title>',
        f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style></head><body>',
        f"<h1>AVI-5 {escape(first.config.profile.value)} on {escape(symbols)}</h1>",
        f"<p>{utc(int(first.start_ms[0]))} to {utc(int(first.start_ms[-1]) + 300_000)} UTC. "
        f"Config {first.config.config_hash}; data "
        + ", ".join(f"{escape(r.symbol)} {r.data_hash}" for r in report.results)
        + ".</p>",
    ]
    if any(result.used_proxy for result in report.results):
        parts.append('<p class="warn">Imbalance was estimated from bars: no order book was recorded.</p>')
    parts.append(
        _table(
            ("measure", "value"),
            [
                ("signals / plans / trades", f"{m.signals} / {m.plans} / {m.trades}"),
                ("win rate", _percent(m.win_rate)),
                ("profit factor", _value(m.profit_factor)),
                ("expectancy, R", _value(m.expectancy_r)),
                ("sum, R", _value(m.sum_r)),
                ("median / best / worst, R", f"{_value(m.median_r)} / {_value(m.best_r)} / {_value(m.worst_r)}"),
                (
                    "max drawdown",
                    f"{m.max_drawdown_usd:,.2f} USD = {m.max_drawdown_r:.2f} R = {m.max_drawdown_ratio:.1%}",
                ),
                ("gross, USD", f"{m.gross_usd:,.2f}"),
                ("fees, USD", f"-{m.fees_usd:,.2f}"),
                ("funding, USD", f"{-m.funding_usd:+,.2f}"),
                ("net, USD", f"{m.net_usd:+,.2f}"),
                ("slippage inside gross, USD", f"-{m.slippage_usd:,.2f}"),
                ("modelled cost of a trade, R", _value(m.average_cost_r)),
                ("exposure", _percent(m.exposure_ratio)),
                ("turnover, USD", f"{m.turnover_usd:,.0f}"),
                ("average hold, min", _value(m.average_hold_min)),
            ],
        )
    )
    parts.append("<h2>Equity</h2>")
    parts += _equity_charts(report.results)
    parts.append("<h2>Trades on price</h2>")
    parts += [_price_chart(result) for result in report.results]
    parts.append("<h2>Distribution</h2>")
    parts.append(_r_chart(report.results))
    parts.append(svg.bars(_hour_rows(m.by_hour), title="Net by UTC hour of the signal", unit="USD"))
    parts.append(
        svg.bars(
            [(f"{r.rung}.{r.cycle}", r.net_usd, f"rung {r.rung} cycle {r.cycle}: {r.exits} exits") for r in m.by_rung],
            title="Net by rung and cycle (rung.cycle; a swing's exits count as rungs), before funding",
            unit="USD",
        )
    )
    parts.append("<h2>Tables</h2>")
    header = ("", "trades", "win rate", "profit factor", "expectancy, R", "net, USD")
    parts.append(_table(header, [_group_row(g) for g in (*m.by_symbol, *m.by_direction)]))
    parts.append(_table(header, [_group_row(g) for g in m.by_hour]))
    parts.append(
        _table(
            ("rung.cycle", "exits", "take-profits", "net, USD"),
            [(f"{r.rung}.{r.cycle}", str(r.exits), str(r.take_profits), f"{r.net_usd:+,.2f}") for r in m.by_rung],
        )
    )
    parts.append(_table(("plans ended by", "count"), [(k, str(v)) for k, v in m.reasons.items()]))
    parts.append(_table(("signals not taken", "count"), [(k, str(v)) for k, v in m.skipped.items()]))
    parts.append("<h2>Assumptions</h2><ul>")
    parts += [f"<li>{escape(sentence)}</li>" for sentence in report.assumptions]
    parts.append("</ul><h2>Configuration</h2>")
    parts.append(_table(("field", "value"), [(k, str(v)) for k, v in sorted(first.config.to_mapping().items())]))
    parts.append("</body></html>\n")
    return "\n".join(parts)


def _equity_charts(results: Sequence[SymbolResult]) -> Iterator[str]:
    times, equity = joint_equity(results)
    fall = equity - np.maximum.accumulate(np.maximum(equity, 0.0))
    at = _picked(equity)
    x = times[at].astype(float).tolist()
    yield svg.lines(
        [("equity", equity[at].tolist())], x, title="Profit and loss after costs", unit="USD", x_labels=_dates(x)
    )
    at = _picked(fall)
    x = times[at].astype(float).tolist()
    yield svg.lines([("drawdown", fall[at].tolist())], x, title="Drawdown", unit="USD", x_labels=_dates(x))


def _price_chart(result: SymbolResult) -> str:
    at = _picked(result.close)
    x = result.start_ms[at].astype(float).tolist()
    marks = []
    for plan in result.plans:
        if plan.is_traded:
            name = "open-long" if plan.direction > 0 else "open-short"
            tip = f"plan {plan.number} {utc(plan.decided_ms)} {plan.reason} {plan.r:+.2f} R"
            marks.append((float(plan.decided_ms), float(plan.entry), name, tip))
            last = plan.legs[-1]
            marks.append((float(last.exit_ms), float(last.exit_price), "gain" if plan.r > 0 else "loss", tip))
    return svg.lines(
        [("price", result.close[at].tolist())],
        x,
        title=f"{result.symbol}: entries (blue long, violet short) and last exits (green won, red lost)",
        unit="",
        x_labels=_dates(x),
        marks=marks,
    )


def _r_chart(results: Sequence[SymbolResult]) -> str:
    rs = [plan.r for result in results for plan in result.plans if plan.is_traded]
    edges = np.arange(-2.0, 3.01, 0.125)
    counts, _ = np.histogram(np.clip(rs, -2.0, 3.0), bins=edges)
    rows = [
        (f"{edges[i]:+.2f}", float(n), f"{edges[i]:+.3f} to {edges[i + 1]:+.3f} R: {n} trades")
        for i, n in enumerate(counts)
    ]
    losses = [bool(edge < 0) for edge in edges[:-1]]
    return svg.bars(rows, title="Result per trade in R (clipped at -2 and +3)", unit="trades", losses=losses)


def _hour_rows(groups: Sequence[Group]) -> list[tuple[str, float, str]]:
    return [(g.name, g.net_usd, f"{g.name}:00 UTC, {g.trades} trades, {g.net_usd:+.2f} USD") for g in groups]


def _picked(values: np.ndarray) -> np.ndarray:
    """Indices of each stretch's lowest and highest value: a thinned line that hides no extreme."""
    if len(values) <= POINTS:
        return np.arange(len(values))
    edges = np.linspace(0, len(values), POINTS // 2 + 1).astype(int)
    chosen = {0, len(values) - 1}
    for a, b in zip(edges, edges[1:], strict=False):
        if b > a:
            chosen |= {a + int(np.argmin(values[a:b])), a + int(np.argmax(values[a:b]))}
    return np.array(sorted(chosen))


def _dates(x: Sequence[float]) -> list[tuple[float, str]]:
    if not x:
        return []
    return [
        (x[0] + share * (x[-1] - x[0]), utc(int(x[0] + share * (x[-1] - x[0])))[:10]) for share in (0.05, 0.5, 0.95)
    ]


def _group_row(group: Group) -> tuple[str, ...]:
    return (
        group.name,
        str(group.trades),
        _percent(group.win_rate),
        _value(group.profit_factor),
        _value(group.expectancy_r),
        f"{group.net_usd:+,.2f}",
    )


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f"<th>{escape(cell)}</th>" for cell in header)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _percent(value: float | None) -> str:
    return "—" if value is None else f"{value:.1%}"


def _value(value: float | None) -> str:
    return "—" if value is None else f"{value:.3f}"
