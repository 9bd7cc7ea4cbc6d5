"""Compiled functions: numba is loaded with the first call of one, not with the module that holds it.

Whoever only shows results imports these modules too, and numba costs a process more than 100 MB and a second.

The cache on disk is thrown away when any source a function is made of changes: numba looks only at the file of the
function itself; code called from there and written elsewhere would stay as it was.
"""

import hashlib
import sys
from collections.abc import Callable
from functools import update_wrapper
from pathlib import Path
from typing import Any, Protocol


class Decorator(Protocol):
    def __call__[F: Callable[..., object]](self, function: F) -> F: ...


class _Later:
    """Stands for a compiled function until the first of them all is called."""

    def __init__(self, function: Callable[..., Any], options: dict[str, Any], stamp: str) -> None:
        self.function, self.options, self.stamp = function, options, stamp
        self.compiled: Callable[..., Any] | None = None
        update_wrapper(self, function)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self.compiled is None:
            _load()
        assert self.compiled is not None
        return self.compiled(*args, **kwargs)


_waiting: list[_Later] = []


def _load() -> None:
    """Compiled code calls compiled code by its module's names, so all of them are put in place before any is used.

    Two threads that come here at once do the work twice, and the same is put in place.
    """
    later = [one for one in _waiting if one.compiled is None]
    made = {id(one): _compiled(one.function, one.options, one.stamp) for one in later}
    for module in {one.function.__module__ for one in later}:
        names = vars(sys.modules[module])
        names.update({key: made[id(held)] for key, held in list(names.items()) if id(held) in made})
    for one in later:
        one.compiled = made[id(one)]


def _compiled(function: Callable[..., Any], options: dict[str, Any], stamp: str) -> Callable[..., Any]:
    from numba import njit  # see above

    compiled = njit(**options)(function)
    cache = getattr(compiled, "_cache", None)
    if stamp and cache is not None:  # absent where compiling is switched off
        cache._cache_file._source_stamp = stamp
    return compiled


def _later[F: Callable[..., object]](function: F, options: dict[str, Any], stamp: str = "") -> F:
    one = _Later(function, options, stamp)
    _waiting.append(one)
    return one  # type: ignore[return-value]


def inlined[F: Callable[..., object]](function: F) -> F:
    """A plain function of another module, written into each compiled one that calls it."""
    return _later(function, {"inline": "always"})


def compiler(*sources: str, nogil: bool = False) -> Decorator:
    """A decorator like `njit(cache=True)`; `sources` are the files of everything the function calls.

    `nogil`: threads may run it side by side.
    """
    digest = hashlib.sha256()
    for source in sorted(sources):
        digest.update(Path(source).read_bytes())
    stamp = digest.hexdigest()

    def decorate[F: Callable[..., object]](function: F) -> F:
        return _later(function, {"cache": True, "nogil": nogil}, stamp)

    return decorate
