"""Databases for rehearsals: made beside the real one, with the same tables, and dropped afterwards.

Rehearsals write accounts, plans and audit rows. They must never do that where people trade, so each gets a database of
its own, and a cache and a channel layer in memory: nobody's screen or price is touched.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection
from django.test.utils import override_settings

_PREFIX = "test_"
_MEMORY = {
    "CACHES": {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "LOCATION": "rehearsal"}},
    "CHANNEL_LAYERS": {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}},
    "REDIS_URL": "",
}


@contextmanager
def scratch_server(*, name: str) -> Iterator[None]:
    """Tables once, to be copied for each rehearsal. Needs a database user that may create databases."""
    original = str(connection.settings_dict["NAME"])
    connection.settings_dict["TEST"] = {**connection.settings_dict["TEST"], "NAME": f"{_PREFIX}{name}"}
    with override_settings(**_MEMORY):
        connection.creation.create_test_db(verbosity=0, autoclobber=True, serialize=False)
        try:
            yield
        finally:
            _leave_for(original)


@contextmanager
def scratch_copy(number: int) -> Iterator[None]:
    """An empty database of the tables that `scratch_server` made; the default connection points at it meanwhile."""
    template = str(connection.settings_dict["NAME"])
    copy = f"{template}_{number}"
    connection.close()
    _administer(f'CREATE DATABASE "{copy}" TEMPLATE "{template}"')
    connection.settings_dict["NAME"] = copy
    try:
        yield
    finally:
        _leave_for(template)


def is_scratch() -> bool:
    return str(connection.settings_dict["NAME"]).startswith(_PREFIX)


def _leave_for(name: str) -> None:
    """By force: the execution process's listener may take seconds to see that its play is over."""
    finished = str(connection.settings_dict["NAME"])
    connection.close()
    connection.settings_dict["NAME"] = name
    _administer(f'DROP DATABASE IF EXISTS "{finished}" WITH (FORCE)')


def _administer(statement: str) -> None:
    with connection._nodb_cursor() as cursor:
        cursor.execute(statement)
