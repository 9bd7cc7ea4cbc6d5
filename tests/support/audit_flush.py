"""Empties the database between tests that commit: quickly, and although the audit trail refuses TRUNCATE.

Only the owner of the tables can do this, and only tests do: the triggers are switched off for the flush alone. Django's
own lists of models and permissions stay, for they never change while tests run. Where the test's user may switch off
all triggers, foreign keys included, only the tables that hold rows are touched: TRUNCATE makes new files for each of
three hundred tables and indexes.
"""

from typing import Any

from django.core.management.commands import flush
from django.db.backends.postgresql.operations import DatabaseOperations

PROTECTED = ("accounts_auditentry", "accounts_auditlink")
KEPT = ("django_content_type", "auth_permission")
_original = DatabaseOperations.sql_flush


def install() -> None:
    DatabaseOperations.sql_flush = _sql_flush  # type: ignore[method-assign]
    flush.emit_post_migrate_signal = lambda *args, **options: None  # type: ignore[attr-defined]


def _sql_flush(self: DatabaseOperations, style: Any, tables: Any, **options: Any) -> list[str]:
    wanted = [table for table in tables if table not in KEPT]
    if not options.get("reset_sequences") and _is_superuser(self.connection):
        filled = _filled(self.connection, wanted)
        large = _large(self.connection, filled)
        emptied = [f'TRUNCATE "{table}"' if table in large else f'DELETE FROM "{table}"' for table in filled]  # noqa: S608
        return ["SET session_replication_role = replica", *emptied, "SET session_replication_role = DEFAULT"]
    statements = _original(self, style, wanted, **options)
    touched = [table for table in PROTECTED if table in tables]
    off = [f'ALTER TABLE "{table}" DISABLE TRIGGER USER' for table in touched]
    on = [f'ALTER TABLE "{table}" ENABLE TRIGGER USER' for table in touched]
    return [*off, *statements, *on]


def _is_superuser(connection: Any) -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('is_superuser') = 'on'")
        return bool(cursor.fetchone()[0])


def _filled(connection: Any, tables: list[str]) -> list[str]:
    looks = (f"SELECT '{table}' WHERE EXISTS (SELECT FROM \"{table}\")" for table in tables)  # noqa: S608
    with connection.cursor() as cursor:
        cursor.execute(" UNION ALL ".join(looks))
        return [name for (name,) in cursor.fetchall()]


def _large(connection: Any, tables: list[str]) -> set[str]:
    """Statistics would outlive their rows: a table once filled by the ten thousand stays large to the planner."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT relname FROM pg_class c WHERE relname = ANY(%s) AND reltuples > 1000 AND relkind = 'r'"
            " AND NOT EXISTS (SELECT FROM pg_constraint WHERE confrelid = c.oid AND contype = 'f')",
            [tables],
        )
        return {name for (name,) in cursor.fetchall()}
