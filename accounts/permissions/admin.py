"""The admin's door: what asks for a fresh code elsewhere asks for one here too, in the form or before the action."""

from typing import Any, ClassVar
from urllib.parse import urlencode

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from accounts.permissions.http import CODE_FIELD, passes
from accounts.permissions.table import action_named
from accounts.services.attempts import TooManyAttempts
from avigrid.common.admin_pages import DeskAdmin
from avigrid.common.spoken import said


class FreshCodeForm(forms.ModelForm):
    """Nothing typed is lost where the last code has grown old: it is asked for beside the other fields."""

    otp_code = forms.CharField(
        label=_("One-time code"),
        max_length=16,
        required=False,
        widget=forms.TextInput(attrs={"autocomplete": "one-time-code", "inputmode": "numeric"}),
        help_text=_("What your device shows now; not needed within a minute of the last one."),
    )
    request: ClassVar[Any] = None
    needs: ClassVar[str] = ""

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        try:
            if not self.errors and not passes(self.request, action_named(self.needs)):
                self.add_error(CODE_FIELD, gettext("Enter the code your device shows now."))
        except TooManyAttempts as spent:
            self.add_error(CODE_FIELD, said(spent.message))
        return cleaned


class FreshCodeAdmin(DeskAdmin):
    """`needs` names the row of the permission table; the admin pages themselves ask for less."""

    needs: ClassVar[str] = ""

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        form: Any = super().get_form(request, obj, change=change, **kwargs)
        form.request, form.needs = request, self.needs
        return form

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        is_action = request.method == "POST" and "action" in request.POST
        if is_action and not passes(request, action_named(self.needs)):
            messages.warning(request, gettext("This needs a fresh code. Enter it, then choose the action again."))
            return redirect(f"{reverse('accounts:fresh')}?{urlencode({'next': request.get_full_path()})}")
        return super().changelist_view(request, extra_context)
