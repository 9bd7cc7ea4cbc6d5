"""Looks for a text, a planted secret say, in every table."""

from django.apps import apps
from django.db import connection


def database_holds(text: str, *, ignore_case: bool = False) -> list[str]:
    """The tables a row of which contains `text`."""
    found, like = [], "ILIKE" if ignore_case else "LIKE"
    with connection.cursor() as cursor:
        for model in apps.get_models(include_auto_created=True):
            table = model._meta.db_table
            query = f'SELECT count(*) FROM "{table}" AS t WHERE t::text {like} %s'  # noqa: S608 - our own table names
            cursor.execute(query, [f"%{text}%"])
            if cursor.fetchone()[0]:
                found.append(table)
    return found
