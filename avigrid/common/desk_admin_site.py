"""The admin's own ways out and to a new password lead to the desk's: those are audited, and end what they should."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import redirect
from django.utils.module_loading import import_string
from unfold.sites import UnfoldAdminSite


class DeskAdminSite(UnfoldAdminSite):
    def logout(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponseBase:
        answer: HttpResponseBase = import_string(settings.LOGOUT_VIEW)(request)
        return answer

    def password_change(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponseBase:
        return redirect(settings.PASSWORD_CHANGE_URL)
