"""What all pages of the admin have in common: a sentence of help, a way to the desk, and no deleting."""

from typing import Any

from django.contrib import messages
from django.db.models import Model
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.functional import Promise
from unfold.admin import ModelAdmin

from avigrid.kernel.errors import AviGridError


class DeskAdmin(ModelAdmin):
    """`about` stands above list and form; `desk_page` names the page of the desk that shows the same things.

    A refusal of a service becomes a message above the form; nothing is ever deleted here.
    """

    about: str | Promise = ""
    desk_page = ""
    list_before_template = "admin/about.html"
    change_form_before_template = "admin/about.html"
    warn_unsaved_form = True
    list_per_page = 50

    def desk_url(self, obj: Any) -> str | None:
        """Where the desk shows this very row."""
        return None

    def get_view_on_site_url(self, obj: Model | None = None) -> str | None:
        return None if obj is None else self.desk_url(obj)

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        return super().changelist_view(request, {**self._help(), **(extra_context or {})})

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        try:
            return super().changeform_view(request, object_id, form_url, {**self._help(), **(extra_context or {})})
        except AviGridError as refused:
            messages.error(request, refused.message)
            return redirect(request.get_full_path())

    def _help(self) -> dict[str, Any]:
        return {"about": self.about, "desk_page_url": reverse(self.desk_page) if self.desk_page else ""}


class ReadOnlyAdmin(DeskAdmin):
    """History: looked at, never changed."""

    show_full_result_count = False
    warn_unsaved_form = False

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False
