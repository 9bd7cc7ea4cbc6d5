"""Compiled functions whose cache on disk is thrown away when any source they are made of changes.

numba looks only at the file of the function itself; code called from there and written elsewhere would stay as it was.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from numba import njit


class Decorator(Protocol):
    def __call__[F: Callable[..., object]](self, function: F) -> F: ...


def compiler(*sources: str, nogil: bool = False) -> Decorator:
    """A decorator like `njit(cache=True)`; `sources` are the files of everything the function calls.

    `nogil`: threads may run it side by side.
    """
    digest = hashlib.sha256()
    for source in sorted(sources):
        digest.update(Path(source).read_bytes())
    stamp = digest.hexdigest()

    def decorate[F: Callable[..., object]](function: F) -> F:
        compiled = njit(cache=True, nogil=nogil)(function)
        cache = getattr(compiled, "_cache", None)
        if cache is not None:  # absent where compiling is switched off
            cache._cache_file._source_stamp = stamp
        return compiled  # type: ignore[return-value]

    return decorate
