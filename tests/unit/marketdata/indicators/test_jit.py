"""A compiled function's disk cache must not outlive the sources it was made of."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

CALLEE = "from numba import njit\n\n\n@njit\ndef inner(x):\n    return x + {}\n"
CALLER = (
    "import callee\nfrom marketdata.indicators.jit import compiler\n\n"
    "kernel = compiler(__file__, callee.__file__)\n\n\n@kernel\ndef outer(x):\n    return callee.inner(x)\n"
)


def load(name: str, path: Path) -> ModuleType:
    specification = importlib.util.spec_from_file_location(name, path)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules[name] = module
    specification.loader.exec_module(module)
    return module


def test_a_changed_callee_is_compiled_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    callee, caller = tmp_path / "callee.py", tmp_path / "caller.py"
    caller.write_text(CALLER)
    results = []
    try:
        for number in ("1.0", "1.0", "20.0"):
            callee.write_text(CALLEE.format(number))
            load("callee", callee)
            module = load("caller", caller)
            results.append((module.outer(1.0), sum(module.outer.stats.cache_hits.values())))
    finally:
        sys.modules.pop("callee", None)
        sys.modules.pop("caller", None)
    assert results == [(2.0, 0), (2.0, 1), (21.0, 0)]
