"""Filters of the API that are stricter than their originals."""

from datetime import UTC, datetime
from typing import Any

from django.core.exceptions import ValidationError
from django_filters import IsoDateTimeFilter
from django_filters.fields import IsoDateTimeField


class _UtcTimeField(IsoDateTimeField):
    """PostgreSQL refuses offsets beyond 16 h; in UTC there are none."""

    def to_python(self, value: Any) -> datetime | None:
        moment = super().to_python(value)
        if moment is None:
            return None
        try:
            return moment.astimezone(UTC)
        except OverflowError:
            raise ValidationError("This time is out of range.", code="invalid") from None


class TimeFilter(IsoDateTimeFilter):
    """RFC 3339."""

    field_class = _UtcTimeField
