"""Lets the test runner empty the database between tests that commit, although the audit trail refuses TRUNCATE.

Only the owner of the tables can do this, and only tests do: the triggers are switched off for the flush alone.
"""

from typing import Any

from django.db.backends.postgresql.operations import DatabaseOperations

PROTECTED = ("accounts_auditentry", "accounts_auditlink")
_original = DatabaseOperations.sql_flush


def install() -> None:
    DatabaseOperations.sql_flush = _sql_flush  # type: ignore[method-assign]


def _sql_flush(self: DatabaseOperations, style: Any, tables: Any, **options: Any) -> list[str]:
    statements = _original(self, style, tables, **options)
    touched = [table for table in PROTECTED if table in tables]
    off = [f'ALTER TABLE "{table}" DISABLE TRIGGER USER' for table in touched]
    on = [f'ALTER TABLE "{table}" ENABLE TRIGGER USER' for table in touched]
    return [*off, *statements, *on]
