"""Research runs, newest first; the heavy columns only where one run is asked for."""

from django.db.models import QuerySet

from trading.models import ResearchKind, ResearchRun


def research_runs(kind: str | None = None) -> QuerySet[ResearchRun]:
    rows = ResearchRun.objects.select_related("created_by").defer("result", "report_html").order_by("-id")
    return rows if kind is None else rows.filter(kind=kind)


def research_run(run_id: int) -> ResearchRun | None:
    return ResearchRun.objects.select_related("created_by").filter(pk=run_id).first()


def used_proxy(run: ResearchRun) -> bool:
    """Of some bar no order book was recorded: its imbalance is estimated from bars. Said wherever a result is shown."""
    result = run.result or {}
    if run.kind == ResearchKind.BACKTEST:
        return any(symbol["used_proxy"] for symbol in result.get("data", ()))
    return bool(result.get("used_proxy"))
