"""Cursor pagination of the API: stable while rows are added, and as quick on page 1,000 as on page 1."""

from datetime import datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import Field
from rest_framework.exceptions import NotFound
from rest_framework.pagination import Cursor, CursorPagination
from rest_framework.request import Request


class NewestFirst(CursorPagination):
    """By primary key, which every table has and indexes; `?page_size=` up to 500."""

    ordering = "-pk"
    page_size = 50
    page_size_query_param = "page_size"
    max_page_size = 500
    _ordered_by: "Field[Any, Any]"

    def paginate_queryset(self, queryset: Any, request: Request, view: Any = None) -> list[Any] | None:
        name, meta = str(self.ordering).lstrip("-"), queryset.model._meta
        self._ordered_by = meta.pk if name == "pk" else meta.get_field(name)
        return super().paginate_queryset(queryset, request, view)

    def decode_cursor(self, request: Request) -> Cursor | None:
        """The framework hands on whatever somebody wrote into the cursor; the database would choke on it."""
        cursor = super().decode_cursor(request)
        if cursor is not None and cursor.position is not None and not self._is_position(str(cursor.position)):
            raise NotFound(self.invalid_cursor_message)
        return cursor

    def _is_position(self, text: str) -> bool:
        try:
            found = self._ordered_by.to_python(text)
        except (ValidationError, ValueError, OverflowError):
            return False
        if isinstance(found, datetime):
            return found.tzinfo is not None
        return "\x00" not in text

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        """As OpenAPI 3.1 writes what may be null; the framework's own still says it the way of 3.0."""
        link = {"type": ["string", "null"], "format": "uri", "description": "null: there is no such page"}
        return {
            "type": "object",
            "required": ["next", "previous", "results"],
            "properties": {"next": link, "previous": link, "results": schema},
        }
