"""Storing a decision unless one stands for its bar already: one statement, no look before and no savepoint around."""

from django.db import connection
from psycopg.types.json import Jsonb

from trading.models import Decision

_COLUMNS = ("strategy_id", "symbol", "bar_start", "decided_at", "status", "direction", "score", "used_proxy", "reason")
_JSON = ("rules", "indicators")
_INSERT = (
    f"INSERT INTO trading_decision ({', '.join(_COLUMNS + _JSON)}) "  # noqa: S608
    f"VALUES ({', '.join(['%s'] * len(_COLUMNS + _JSON))}) "
    "ON CONFLICT (strategy_id, symbol, bar_start) DO NOTHING RETURNING id"
)


def decision_insert(decision: Decision) -> bool:
    """False where this bar had been decided on; then `decision` stays without a key."""
    values = [getattr(decision, name) for name in _COLUMNS] + [Jsonb(getattr(decision, name)) for name in _JSON]
    with connection.cursor() as cursor:
        cursor.execute(_INSERT, values)
        row = cursor.fetchone()
    if row is None:
        return False
    decision.pk = row[0]
    decision._state.adding, decision._state.db = False, connection.alias
    return True
