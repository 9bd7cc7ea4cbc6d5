"""Facts that several parts of one page ask for are read once per page, or once per painting of the open pages.

Only for showing: nothing is kept outside a `reading()`, so whoever decides or writes always asks the database.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps

type Kept = dict[object, object]

_kept: ContextVar[Kept | None] = ContextVar("reading", default=None)


@contextmanager
def reading(kept: Kept | None = None) -> Iterator[None]:
    """Give the same `kept` to several readings that shall see the same facts."""
    token = _kept.set({} if kept is None else kept)
    try:
        yield
    finally:
        _kept.reset(token)


def read_once[**P, R](selector: Callable[P, R]) -> Callable[P, R]:
    """Decorates a selector. What it answers is shared: nobody may change it, and it must not depend on the language."""

    @wraps(selector)
    def asked(*args: P.args, **kwargs: P.kwargs) -> R:
        kept = _kept.get()
        if kept is None:
            return selector(*args, **kwargs)
        key = (selector, args, tuple(sorted(kwargs.items())))
        if key not in kept:
            kept[key] = selector(*args, **kwargs)
        return kept[key]  # type: ignore[return-value]

    return asked
