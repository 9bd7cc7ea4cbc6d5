"""Research reads what trading wrote and writes only its own rows: inside the fence every other write is refused."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connection

from avigrid.kernel.errors import Bug

OWN_TABLES = frozenset({"trading_researchrun", "trading_researchshard", "accounts_auditentry"})
_READS = re.compile(r"\s*(SELECT|WITH|SAVEPOINT|RELEASE|ROLLBACK|SET|FETCH|DECLARE|CLOSE)\b", re.IGNORECASE)
_WRITES = re.compile(r'\s*(?:INSERT\s+INTO|UPDATE|DELETE\s+FROM)\s+"?(\w+)"?', re.IGNORECASE)
_HIDDEN_WRITE = re.compile(r"\b(INSERT\s+INTO|UPDATE\s+\"?\w+\"?\s+SET|DELETE\s+FROM)\b", re.IGNORECASE)
_COPY_OUT = re.compile(r"\s*COPY\s*\(.*\)\s*TO\s+STDOUT", re.IGNORECASE | re.DOTALL)


class ResearchWrite(Bug):
    """Research tried to change a table that is not its own."""

    code = "research_write"


@contextmanager
def research_fence() -> Iterator[None]:
    """Every statement of this thread's connection is looked at before it is sent."""
    with connection.execute_wrapper(_look):
        yield


def _look(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
    written = _WRITES.match(sql)
    if written is not None:
        if written.group(1).lower() in OWN_TABLES:
            return execute(sql, params, many, context)
        raise ResearchWrite(f"research may not write {written.group(1)}", table=written.group(1))
    is_read = (_READS.match(sql) and not _HIDDEN_WRITE.search(sql)) or _COPY_OUT.match(sql)
    if not is_read:
        raise ResearchWrite(f"research may not run {sql[:60]!r}", table="")
    return execute(sql, params, many, context)
