"""What the audit trail can be searched for, and how a search is told of without anybody's personal data."""

import re
from datetime import datetime
from typing import ClassVar

import django_filters
from django.db.models import Q, QuerySet

from accounts.api.filters import TimeFilter
from accounts.models import AuditEntry
from accounts.selectors.people import user_by_email

_NAME = re.compile(r"[\w.:\-]*")
_FREE_TEXT, _UNKNOWN = "[text]", "[unknown]"


class AuditFilter(django_filters.FilterSet):
    action = django_filters.CharFilter(lookup_expr="startswith", max_length=80)
    object_type = django_filters.CharFilter(max_length=80)
    object_id = django_filters.CharFilter(max_length=120)
    actor = django_filters.CharFilter(method="by_actor", max_length=254, help_text="e-mail, or name of a process")
    text = django_filters.CharFilter(
        field_name="reason", lookup_expr="icontains", max_length=120, help_text="anywhere in the reason"
    )
    since = TimeFilter(field_name="at", lookup_expr="gte")
    until = TimeFilter(field_name="at", lookup_expr="lt")

    class Meta:
        model = AuditEntry
        fields: ClassVar = ["otp_used"]

    def by_actor(self, entries: QuerySet[AuditEntry], name: str, value: str) -> QuerySet[AuditEntry]:
        return entries.filter(Q(actor__email__iexact=value) | Q(actor_name=value))

    def told(self) -> dict[str, str]:
        """For a row that nobody can ever change: people by number, names of things, no text that somebody typed."""
        given = {name: value for name, value in self.form.cleaned_data.items() if value not in (None, "")}
        return {name: _told(name, value) for name, value in given.items()}


def _told(name: str, value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, bool):
        return str(value).lower()
    text = str(value)
    if name == "actor":
        return _who(text)
    return text if name != "text" and _NAME.fullmatch(text) else _FREE_TEXT


def _who(actor: str) -> str:
    person = user_by_email(actor)
    if person is not None:
        return f"user:{person.pk}"
    return actor if AuditEntry.objects.filter(actor_name=actor).exists() else _UNKNOWN
