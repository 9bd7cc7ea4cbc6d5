"""Cursor pagination of the API: stable while rows are added, and as quick on page 1,000 as on page 1."""

from rest_framework.pagination import CursorPagination


class NewestFirst(CursorPagination):
    """By primary key, which every table has and indexes; `?page_size=` up to 500."""

    ordering = "-pk"
    page_size = 50
    page_size_query_param = "page_size"
    max_page_size = 500
