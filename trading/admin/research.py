"""Research runs, for reading; they are started on the page of the desk."""

from django.contrib import admin
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from trading.admin.history import HistoryAdmin
from trading.models import ResearchRun


@admin.register(ResearchRun)
class ResearchRunAdmin(HistoryAdmin):
    about = _("Backtests, sweeps and calibrations as they were asked for and ended; started on the page of the desk.")
    desk_page = "trading:research"
    list_display = ("id", "kind", "status", "config_hash", "data_hash", "created_at", "ended_at", "created_by", "error")
    list_filter = ("kind", "status")
    list_select_related = ("created_by",)
    exclude = ("report_html", "result")

    def desk_url(self, obj: ResearchRun) -> str:
        return reverse("trading:research_run", args=[obj.pk])
