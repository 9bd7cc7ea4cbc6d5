"""Research runs, newest first; the heavy columns only where one run is asked for."""

from django.db.models import QuerySet

from trading.models import ResearchRun


def research_runs(kind: str | None = None) -> QuerySet[ResearchRun]:
    rows = ResearchRun.objects.select_related("created_by").defer("result", "report_html").order_by("-id")
    return rows if kind is None else rows.filter(kind=kind)


def research_run(run_id: int) -> ResearchRun | None:
    return ResearchRun.objects.select_related("created_by").filter(pk=run_id).first()
