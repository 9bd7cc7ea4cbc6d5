"""Research reads what trading wrote and writes only its own rows: inside the fence every other write is refused.

A guard against mistakes in this code, not against a database function that writes: each statement is judged by its
text before it is sent.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connection

from avigrid.kernel.errors import Bug

OWN_TABLES = frozenset({"trading_researchrun", "trading_researchshard", "accounts_auditentry"})
_READS = re.compile(
    r"\s*(SELECT|WITH|SAVEPOINT|RELEASE|ROLLBACK|FETCH|DECLARE|CLOSE|SET\s+(TRANSACTION|CONSTRAINTS|TIME\s+ZONE))\b",
    re.IGNORECASE,
)
_OWN_WRITES = re.compile(r"\s*(INSERT\s+INTO|UPDATE|DELETE\s+FROM)\b", re.IGNORECASE)
_COPY_OUT = re.compile(r"\s*COPY\s*\(.*\)\s*TO\s+STDOUT", re.IGNORECASE | re.DOTALL)
_WRITTEN = re.compile(
    r"\b(?:INSERT\s+INTO|(?<!FOR\s)(?<!KEY\s)(?<!DO\s)UPDATE(?:\s+ONLY)?|DELETE\s+FROM(?:\s+ONLY)?|MERGE\s+INTO)"
    r"\s+(?:\"?\w+\"?\.)?\"?(\w+)\"?",
    re.IGNORECASE,
)
_MEDDLING = re.compile(
    r"\b(TRUNCATE|DROP|ALTER|CREATE|GRANT|REVOKE|CALL|LOCK|VACUUM|REINDEX|CLUSTER|(?<!INSERT\s)(?<!MERGE\s)INTO)\b",
    re.IGNORECASE,
)
_TEXT = re.compile(r"'(?:[^']|'')*'")
_NAME = re.compile(r'"[^"]*"')


class ResearchWrite(Bug):
    """Research tried to change a table that is not its own."""

    code = "research_write"


@contextmanager
def research_fence() -> Iterator[None]:
    """Every statement of this thread's connection is looked at before it is sent."""
    with connection.execute_wrapper(_look):
        yield


def _look(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
    _refuse_writes(sql)
    return execute(sql, params, many, context)


def _refuse_writes(sql: str) -> None:
    bare = _TEXT.sub("''", sql)
    for written in _WRITTEN.finditer(bare):
        if written.group(1).lower() not in OWN_TABLES:
            raise ResearchWrite(f"research may not write {written.group(1)}", table=written.group(1))
    is_known = _READS.match(bare) or _OWN_WRITES.match(bare) or _COPY_OUT.match(bare)
    is_one = ";" not in bare.rstrip().rstrip(";")
    if not is_known or not is_one or _MEDDLING.search(_NAME.sub('""', bare)):
        raise ResearchWrite(f"research may not run {sql[:60]!r}", table="")
