"""What all pages of the admin have in common: a sentence of help, a way to the desk, and no deleting."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import DecimalField, Model
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.decorators import method_decorator
from django.utils.functional import Promise
from django.views.decorators.csrf import csrf_protect
from unfold.admin import ModelAdmin

from avigrid.kernel.errors import AviGridError
from avigrid.kernel.money import plain


def plain_amount(name: str, words: str | Promise) -> Callable[[Any], str]:
    """A column of money or size without the zeros its storage pads it with."""

    @admin.display(description=str(words), ordering=name)
    def shown(row: Any) -> str:
        value = getattr(row, name)
        return "–" if value is None else plain(value)

    shown.__name__ = name
    return shown


class PlainDecimalField(forms.DecimalField):
    """Shows an amount to be changed without the zeros its storage pads it with."""

    def prepare_value(self, value: Any) -> Any:
        return plain(value) if isinstance(value, Decimal) and value.is_finite() else value


class ServiceAdmin(admin.ModelAdmin):
    """Without the transaction that Django puts around a whole form: a refusal would undo what the services keep of it,
    and a one-time code that was taken could be taken again. Each service is a transaction of its own."""

    @method_decorator(csrf_protect)
    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        answer: HttpResponse = self._changeform_view(request, object_id, form_url, extra_context)  # type: ignore[attr-defined]
        return answer


class DeskAdmin(ModelAdmin, ServiceAdmin):
    """`about` stands above list and form; `desk_page` names the page of the desk that shows the same things.

    A refusal of a service becomes a message above the form; nothing is ever deleted here.
    """

    about: str | Promise = ""
    desk_page = ""
    list_before_template = "admin/about.html"
    change_form_before_template = "admin/about.html"
    warn_unsaved_form = True
    list_per_page = 50

    def get_list_display(self, request: HttpRequest) -> Any:
        return [self._shown(name) for name in super().get_list_display(request)]

    def _shown(self, name: Any) -> Any:
        column = next((field for field in self.opts.fields if field.name == name), None)
        return plain_amount(name, column.verbose_name) if isinstance(column, DecimalField) else name

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if isinstance(db_field, DecimalField):
            kwargs.setdefault("form_class", PlainDecimalField)
        return super().formfield_for_dbfield(db_field, request, **kwargs)

    def desk_url(self, obj: Any) -> str | None:
        """Where the desk shows this very row."""
        return None

    def get_view_on_site_url(self, obj: Model | None = None) -> str | None:
        return None if obj is None else self.desk_url(obj)

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        try:
            return super().changelist_view(request, {**self._help(), **(extra_context or {})})
        except OverflowError:  # a year of the date filter beyond what Python counts: Django foresees only wrong words
            return redirect(f"{request.path}?e=1")

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

    def get_fields(self, request: HttpRequest, obj: Model | None = None) -> Any:
        left_out = self.exclude or ()
        names = [field.name for field in self.opts.fields if field.name not in left_out and not field.primary_key]
        return [self._shown(name) for name in self.fields or names]

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> Any:
        """An amount is shown by a function, which the admin only takes for a read-only field."""
        return [field for field in self.get_fields(request, obj) if callable(field)]
