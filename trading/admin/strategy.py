"""Strategy versions: added and made active through their services, never edited."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from avigrid.common.admin_pages import ReadOnlyAdmin
from trading.forms.strategy import StrategyVersionForm
from trading.forms.strategy_help import GROUPS
from trading.models import StrategyVersion
from trading.services.strategy_versions import strategy_version_activate, strategy_version_create

_VERSION_FIELDS = (
    *("name", "version", "stage", "is_active", "note", "calibration", "created_by", "created_at", "activated_at"),
    *("config_hash", "config"),
)


@admin.register(StrategyVersion)
class StrategyVersionAdmin(ReadOnlyAdmin):
    """A version is never edited: adding one starts from the active one, and any version can be made active again."""

    about = _(
        "Adding starts from the version in use; nothing is ever edited. To decide with an older one again, "
        "choose it in the list and the action above it. Going live is a gate of its own, on the Research page."
    )
    desk_page = "trading:research"

    list_display = ("name", "version", "stage", "is_active", "config_hash", "created_at", "created_by")
    actions = ("make_active",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def get_form(
        self, request: HttpRequest, obj: StrategyVersion | None = None, change: bool = False, **kwargs: Any
    ) -> Any:
        return StrategyVersionForm if obj is None else super().get_form(request, obj, change, **kwargs)

    def get_fieldsets(self, request: HttpRequest, obj: StrategyVersion | None = None) -> Any:
        if obj is not None:
            return [(None, {"fields": _VERSION_FIELDS})]
        groups = [(title, {"fields": names, "description": text}) for title, text, names in GROUPS]
        return [(_("This version"), {"fields": ("stage", "note", "activate", "expected_version")}), *groups]

    def save_model(self, request: HttpRequest, obj: StrategyVersion, form: Any, change: bool) -> None:
        """The service makes the row; `obj` becomes it, so that the admin's own log names the right one."""
        made = strategy_version_create(
            config=form.config,
            stage=form.cleaned_data["stage"],
            note=form.cleaned_data["note"],
            activate=form.cleaned_data["activate"],
            expected_version=form.cleaned_data["expected_version"],
            actor=request.user,  # type: ignore[arg-type]
            now=timezone.now(),
        )
        obj.__dict__.update(made.__dict__)

    @admin.action(description=_("Decide with this version"))
    def make_active(self, request: HttpRequest, queryset: Any) -> None:
        if queryset.count() != 1:
            self.message_user(request, gettext("Choose exactly one version."), level="ERROR")
            return
        version = strategy_version_activate(
            version_id=queryset.get().pk,
            actor=request.user,  # type: ignore[arg-type]
            now=timezone.now(),
        )
        self.message_user(request, gettext("%(version)s decides from the next bar on.") % {"version": version})
