"""Rows of lists, most of what the API ever says: the framework's fields, minus its detours."""

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Context, Decimal
from functools import cache
from operator import attrgetter
from typing import Any

from django.db.models import Model
from rest_framework import relations, serializers

Reader = Callable[[Any], Any]


class RowSerializer[M: Model](serializers.ModelSerializer[M]):
    """A read-only ModelSerializer that finds out once how each field is read and written, not once a row or request.

    The shape, and with it the schema, stays the framework's; a test holds both ways against each other.
    """

    def to_representation(self, instance: M) -> dict[str, Any]:
        row = {}
        for name, read, write in _plan(type(self)):
            value = read(instance)
            row[name] = value if value is None or write is None else write(value)
        return row


@cache
def _plan(kind: type[RowSerializer[Any]]) -> list[tuple[str, Reader, Reader | None]]:
    """Once a process: the framework takes as long to make the fields as to read 50 rows. They know no request."""
    return [(name, *_way(field)) for name, field in kind().fields.items()]


def _way(field: Any) -> tuple[Reader, Reader | None]:
    """How to read the field off a model, and how to write its value; None: as it is."""
    if isinstance(field, serializers.SerializerMethodField):
        return (lambda instance: instance), field.to_representation
    if isinstance(field, relations.PrimaryKeyRelatedField):
        return attrgetter(f"{field.source}_id"), None
    read = attrgetter(field.source)
    if isinstance(field, serializers.DateTimeField) and not hasattr(field, "format"):
        return read, _utc
    if isinstance(field, serializers.DecimalField):
        return read, _decimal(field)
    if isinstance(field, serializers.IntegerField | serializers.BooleanField | serializers.FloatField):
        return read, None
    if type(field) in (serializers.CharField, serializers.ChoiceField, serializers.JSONField):
        return read, None
    return read, field.to_representation


def _utc(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _decimal(field: Any) -> Reader:
    quantum, context = Decimal(1).scaleb(-field.decimal_places), Context(prec=field.max_digits)

    def write(value: Any) -> str:
        exact = value if isinstance(value, Decimal) else Decimal(str(value))
        return format(exact.quantize(quantum, context=context), "f")

    return write
