"""The report as one self-contained page: tables and inline SVG, no script, nothing loaded from anywhere.

Light or dark as the system wishes, or as the page that frames it says with `data-theme`; on paper always light.
"""

from collections.abc import Callable, Iterator, Sequence
from html import escape

import numpy as np

from trading.backtest import svg
from trading.backtest.metrics import Group, Metrics, joint_equity
from trading.backtest.report import Report
from trading.backtest.report_words import Words
from trading.backtest.result import SymbolResult
from trading.backtest.times import utc

POINTS = 900
type Say = Callable[[str], str]
"""A sentence or word of the report in the reader's language; the pure core knows English alone."""

_LIGHT = """--ground:#fff;--ink:#1c2024;--ink-2:#5b646b;--line:#e3e6e8;--rule:#eceff1;--zero:#8b949b;--warn:#b35900;
--warn-ground:#fff6ec;--accent:#2563a8;--gain:#1b7f4b;--loss:#b3261e;--short:#8a4fbf"""
_DARK = """--ground:#161a20;--ink:#e6e9eb;--ink-2:#9aa4ab;--line:#2c3338;--rule:#23292d;--zero:#6b757d;--warn:#f2b84b;
--warn-ground:#2b2116;--accent:#6cb2ff;--gain:#3fcf8e;--loss:#ff7b7b;--short:#b08be8"""
STYLE = f"""
:root{{color-scheme:light dark;{_LIGHT}}}
@media screen and (prefers-color-scheme:dark){{:root:not([data-theme=light]){{{_DARK}}}}}
@media screen{{:root[data-theme=dark]{{color-scheme:dark;{_DARK}}}:root[data-theme=light]{{color-scheme:light}}}}
body{{font:14px/1.45 system-ui,sans-serif;margin:24px auto;max-width:1000px;padding:0 16px;color:var(--ink);
background:var(--ground)}}
h1{{font-size:20px}}h2{{font-size:16px;margin-top:28px}}
.scroll{{overflow-x:auto}}table{{border-collapse:collapse;font-variant-numeric:tabular-nums;margin:0 0 16px}}
td,th{{padding:3px 10px;text-align:right;border-bottom:1px solid var(--line)}}
td:first-child,th:first-child{{text-align:left}}
.warn{{border-left:4px solid var(--warn);padding:6px 12px;background:var(--warn-ground)}}
figure{{margin:16px 0}}figcaption{{font-weight:600}}
svg{{width:100%;height:auto}}svg text{{font-size:11px;fill:var(--ink-2)}}
.rule{{stroke:var(--rule)}}.zero{{stroke:var(--zero)}}
.price{{stroke:var(--ink-2);stroke-width:1}}.equity{{stroke:var(--accent);stroke-width:1.5}}
.drawdown{{stroke:var(--loss);stroke-width:1.2}}
.gain{{fill:var(--gain)}}.loss{{fill:var(--loss)}}.open-long{{fill:var(--accent)}}.open-short{{fill:var(--short)}}
@media(max-width:600px){{body{{margin:12px auto;padding:0 8px}}svg text{{font-size:22px}}td,th{{padding:3px 6px}}}}
"""


def report_html(report: Report, *, language: str = "en", say: Say = str) -> str:
    """`say` puts every sentence into `language`. Same report and language, same bytes."""
    m = report.metrics
    first = report.results[0]
    symbols = ", ".join(result.symbol for result in report.results)
    parts = [
        "<!doctype html>",
        f'<html lang="{escape(language)}"><head><meta charset="utf-8"><title>AVI-5 {escape(symbols)}</title>',
        f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style></head><body>',
        f"<h1>AVI-5 {escape(say(first.config.profile.value))}: {escape(symbols)}</h1>",
        f"<p>{utc(int(first.start_ms[0]))} – {utc(int(first.start_ms[-1]) + 300_000)} UTC. "
        f"{escape(say(Words.CONFIG))} {first.config.config_hash}; {escape(say(Words.DATA))} "
        + ", ".join(f"{escape(r.symbol)} {r.data_hash}" for r in report.results)
        + ".</p>",
    ]
    if any(result.used_proxy for result in report.results):
        parts.append(f'<p class="warn">{escape(say(Words.PROXY))}</p>')
    parts.append(_table([say(Words.MEASURE), say(Words.VALUE)], _measures(m, say)))
    parts.append(_heading(Words.EQUITY, say))
    parts += _equity_charts(report.results, say)
    parts.append(_heading(Words.ON_PRICE, say))
    parts += [_price_chart(result, say) for result in report.results]
    parts.append(_heading(Words.DISTRIBUTION, say))
    parts.append(_r_chart(report.results, say))
    parts.append(svg.bars(_hour_rows(m.by_hour, say), title=say(Words.BY_HOUR), unit="USD"))
    parts.append(
        svg.bars(
            [
                (f"{r.rung}.{r.cycle}", r.net_usd, f"{r.rung}.{r.cycle}: {say(Words.EXITS)} {r.exits}")
                for r in m.by_rung
            ],
            title=say(Words.BY_RUNG),
            unit="USD",
        )
    )
    parts.append(_heading(Words.TABLES, say))
    header = [
        "",
        *(say(word) for word in (Words.TRADES, Words.WIN_RATE, Words.PROFIT_FACTOR, Words.EXPECTANCY, Words.NET)),
    ]
    parts.append(_table(header, [_group_row(g, say) for g in (*m.by_symbol, *m.by_direction)]))
    parts.append(_table(header, [_group_row(g, say) for g in m.by_hour]))
    parts.append(
        _table(
            [say(word) for word in (Words.RUNG_CYCLE, Words.EXITS, Words.TAKE_PROFITS, Words.NET)],
            [(f"{r.rung}.{r.cycle}", str(r.exits), str(r.take_profits), f"{r.net_usd:+,.2f}") for r in m.by_rung],
        )
    )
    count = say(Words.COUNT)
    parts.append(_table([say(Words.ENDED_BY), count], [(say(k), str(v)) for k, v in m.reasons.items()]))
    parts.append(_table([say(Words.NOT_TAKEN), count], [(say(k), str(v)) for k, v in m.skipped.items()]))
    parts.append(f"{_heading(Words.ASSUMPTIONS, say)}<ul>")
    parts += [f"<li>{escape(say(sentence))}</li>" for sentence in report.assumptions]
    parts.append(f"</ul>{_heading(Words.CONFIGURATION, say)}")
    config = sorted(first.config.to_mapping().items())
    parts.append(_table([say(Words.FIELD), say(Words.VALUE)], [(k, str(v)) for k, v in config], is_code=True))
    parts.append("</body></html>\n")
    return "\n".join(parts)


def _heading(word: Words, say: Say) -> str:
    return f"<h2>{escape(say(word))}</h2>"


def _measures(m: Metrics, say: Say) -> list[tuple[str, str]]:
    rows: list[tuple[Words, str]] = [
        (Words.COUNTS, f"{m.signals} / {m.plans} / {m.trades}"),
        (Words.WIN_RATE, _percent(m.win_rate)),
        (Words.PROFIT_FACTOR, _value(m.profit_factor)),
        (Words.EXPECTANCY, _value(m.expectancy_r)),
        (Words.SUM, _value(m.sum_r)),
        (Words.SPREAD_OF_R, f"{_value(m.median_r)} / {_value(m.best_r)} / {_value(m.worst_r)}"),
        (Words.MAX_DRAWDOWN, f"{m.max_drawdown_usd:,.2f} USD = {m.max_drawdown_r:.2f} R = {m.max_drawdown_ratio:.1%}"),
        (Words.GROSS, f"{m.gross_usd:,.2f}"),
        (Words.FEES, f"-{m.fees_usd:,.2f}"),
        (Words.FUNDING, f"{-m.funding_usd:+,.2f}"),
        (Words.NET, f"{m.net_usd:+,.2f}"),
        (Words.SLIPPAGE, f"-{m.slippage_usd:,.2f}"),
        (Words.COST, _value(m.average_cost_r)),
        (Words.EXPOSURE, _percent(m.exposure_ratio)),
        (Words.TURNOVER, f"{m.turnover_usd:,.0f}"),
        (Words.HOLD, _value(m.average_hold_min)),
    ]
    return [(say(word), value) for word, value in rows]


def _equity_charts(results: Sequence[SymbolResult], say: Say) -> Iterator[str]:
    times, equity = joint_equity(results)
    fall = equity - np.maximum.accumulate(np.maximum(equity, 0.0))
    for name, title, values in (("equity", Words.PROFIT, equity), ("drawdown", Words.DRAWDOWN, fall)):
        at = _picked(values)
        x = times[at].astype(float).tolist()
        yield svg.lines([(name, values[at].tolist())], x, title=say(title), unit="USD", x_labels=_dates(x))


def _price_chart(result: SymbolResult, say: Say) -> str:
    at = _picked(result.close)
    x = result.start_ms[at].astype(float).tolist()
    marks = []
    for plan in result.plans:
        if plan.is_traded:
            name = "open-long" if plan.direction > 0 else "open-short"
            tip = f"{say(Words.PLAN)} {plan.number} {utc(plan.decided_ms)} {say(plan.reason)} {plan.r:+.2f} R"
            marks.append((float(plan.decided_ms), float(plan.entry), name, tip))
            last = plan.legs[-1]
            marks.append((float(last.exit_ms), float(last.exit_price), "gain" if plan.r > 0 else "loss", tip))
    return svg.lines(
        [("price", result.close[at].tolist())],
        x,
        title=f"{result.symbol}: {say(Words.MARKS)}",
        unit="",
        x_labels=_dates(x),
        marks=marks,
    )


def _r_chart(results: Sequence[SymbolResult], say: Say) -> str:
    rs = [plan.r for result in results for plan in result.plans if plan.is_traded]
    edges = np.arange(-2.0, 3.01, 0.125)
    counts, _ = np.histogram(np.clip(rs, -2.0, 3.0), bins=edges)
    trades = say(Words.TRADES)
    rows = [
        (f"{edges[i]:+.2f}", float(n), f"{edges[i]:+.3f} – {edges[i + 1]:+.3f} R: {trades} {n}")
        for i, n in enumerate(counts)
    ]
    losses = [bool(edge < 0) for edge in edges[:-1]]
    return svg.bars(rows, title=say(Words.PER_TRADE), unit=trades, losses=losses)


def _hour_rows(groups: Sequence[Group], say: Say) -> list[tuple[str, float, str]]:
    trades = say(Words.TRADES)
    return [(g.name, g.net_usd, f"{g.name}:00 UTC, {trades} {g.trades}, {g.net_usd:+.2f} USD") for g in groups]


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


def _group_row(group: Group, say: Say) -> tuple[str, ...]:
    return (
        say(group.name),
        str(group.trades),
        _percent(group.win_rate),
        _value(group.profit_factor),
        _value(group.expectancy_r),
        f"{group.net_usd:+,.2f}",
    )


def _table(header: Sequence[str], rows: Sequence[Sequence[str]], *, is_code: bool = False) -> str:
    def shown(cell: str) -> str:
        return f"<code>{escape(cell)}</code>" if is_code else escape(cell)

    head = "".join(f"<th>{escape(cell)}</th>" for cell in header)
    body = "".join("<tr>" + "".join(f"<td>{shown(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    return f'<div class="scroll" tabindex="0">{table}</div>'


def _percent(value: float | None) -> str:
    return "—" if value is None else f"{value:.1%}"


def _value(value: float | None) -> str:
    return "—" if value is None else f"{value:.3f}"
