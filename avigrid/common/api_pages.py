"""Cursor pagination of the API: stable while rows are added, and as quick on page 1,000 as on page 1."""

from typing import Any

from rest_framework.pagination import CursorPagination


class NewestFirst(CursorPagination):
    """By primary key, which every table has and indexes; `?page_size=` up to 500."""

    ordering = "-pk"
    page_size = 50
    page_size_query_param = "page_size"
    max_page_size = 500

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        """As OpenAPI 3.1 writes what may be null; the framework's own still says it the way of 3.0."""
        link = {"type": ["string", "null"], "format": "uri", "description": "null: there is no such page"}
        return {
            "type": "object",
            "required": ["next", "previous", "results"],
            "properties": {"next": link, "previous": link, "results": schema},
        }
