"""docs/execution_proofs.md names the test of every promise: all of them exist, and no promise is without one."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs" / "execution_proofs.md").read_text()
NAMED = re.findall(r"`([\w/]+)::(\w+)`", TEXT)


@cache
def _tests_of(path: Path) -> frozenset[str]:
    tree = ast.parse(path.read_text())
    return frozenset(node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


@pytest.mark.parametrize(("file", "test"), sorted(set(NAMED)))
def test_a_named_test_exists(file: str, test: str) -> None:
    path = ROOT / "tests" / f"{file}.py"
    assert path.is_file(), path
    assert test in _tests_of(path)


def test_every_row_names_a_test() -> None:
    rows = [line for line in TEXT.splitlines() if line.startswith("| ") and not line.startswith(("| #", "| promise"))]
    assert len(rows) > 60
    assert [row for row in rows if "::test_" not in row] == []


def test_all_twenty_three_points_have_their_row() -> None:
    assert re.findall(r"^\| (\d+) \|", TEXT, re.MULTILINE) == [str(number) for number in range(1, 24)]
