"""Comparisons with the exchange and what they found, for reading."""

from django.contrib import admin
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from trading.admin.history import HistoryAdmin
from trading.models import ReconciliationFinding, ReconciliationRun


@admin.register(ReconciliationRun)
class ReconciliationRunAdmin(HistoryAdmin):
    about = _("Comparisons of our books with the exchange.")
    desk_page = "trading:reconciliation"
    list_display = ("started_at", "scope", "status", "finished_at", "counts", "error")
    list_filter = ("scope", "status")


@admin.register(ReconciliationFinding)
class ReconciliationFindingAdmin(HistoryAdmin):
    about = _("Differences found, what mended them, and the proof. Deciding about them is on the page of the desk.")
    desk_page = "trading:reconciliation"
    list_display = ("detected_at", "severity", "kind", "subject", "sentence", "action", "is_open", "repaired_at")
    list_filter = ("is_open", "severity", "kind")

    def desk_url(self, obj: ReconciliationFinding) -> str:
        return f"{reverse('trading:reconciliation')}#finding-{obj.pk}"
