"""`manage.py collect_sentences`: what the source says in English, as a list the translators' tools can read."""

import ast
import re
import sys
from argparse import ArgumentParser
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

LIST = Path(__file__).parents[2] / "spoken_list.py"
SPEAKERS = (
    "accounts/selectors/audit_chain.py",
    "accounts/selectors/cipher_state.py",
    "accounts/services",
    "avigrid/kernel/errors.py",
    "marketdata/selectors/instruments.py",
    "marketdata/selectors/quality.py",
    "risk/core/checks",
    "risk/core/limits.py",
    "risk/core/verdict.py",
    "risk/selectors",
    "risk/services",
    "trading/avi5/config.py",
    "trading/backtest/report.py",
    "trading/backtest/request.py",
    "trading/backtest/sweep.py",
    "trading/backtest/walk_forward.py",
    "trading/engine",
    "trading/runtime",
    "trading/selectors",
    "trading/services",
)
"""Whose sentences reach a page."""
SILENT = ("metrics.py", "measures.py", "gauges.py", "launch.py", "smoke.py", "rehearsal/", "venue.py")
WORD_CLASSES = ("StrEnum", "TextChoices")
CODE_FILES = (
    "risk/core/checks",
    "risk/core/locks.py",
    "risk/core/usage.py",
    "trading/selectors/plan_timeline.py",
    "trading/selectors/research_comparison.py",
)
"""Where every code in small letters may be shown."""
WORDS_BY_HAND = (
    "answers", "bps", "bridge", "cipher", "connecting", "connections", "database", "departed", "down",
    "findings", "flat", "forming", "gap", "good", "incomplete", "jobs", "key", "long", "maker", "manual",
    "market", "migrations", "mode", "never", "notifications", "positions", "process", "reconnect", "redis",
    "short", "start", "strategy", "stream up", "symbols", "taker", "up", "verdict", "waits",
)  # fmt: skip
"""Codes that no enumeration holds."""
LIMITS = "risk/core/limits.py"
"""Whose fields are names of limits."""
WORD_FILES = (
    "accounts/core",
    "avigrid/kernel/orders.py",
    "risk/core",
    "risk/models",
    "trading/avi5",
    "trading/backtest/report_words.py",
    "trading/engine",
    "trading/models",
)
_MARKED = {"_", "gettext", "gettext_lazy", "gettext_noop", "ngettext", "pgettext", "pgettext_lazy"}
_NOT_SAID = {"Counter", "Gauge", "Histogram", "execute", "debug", "compile", "strftime", "AssertionError", "TypeError"}
_SQL = re.compile(
    r"\b(SELECT|INSERT|UPDATE|DELETE|CREATE|ALTER|WHERE|ORDER BY|WITHIN|AND start|NOTIFY|CASE WHEN)\b"
    r"|extract\(|interval_min|jsonb_"
)
_CODE = re.compile(r"[a-z]+(_[a-z0-9]+)*")
_SENTENCE = re.compile(r"(?=.*[a-z]{2})\S+ +\S")


class Command(BaseCommand):
    help = "Write the list of sentences to translate. Example: manage.py collect_sentences --check"
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--check", action="store_true", help="only say whether the list is current")

    def handle(self, *args: Any, **options: Any) -> None:
        text = written(settings.BASE_DIR)
        if options["check"]:
            if LIST.read_text(encoding="utf-8") != text:
                self.stderr.write("The list is old: run manage.py collect_sentences.")
                sys.exit(1)
            return
        LIST.write_text(text, encoding="utf-8")


def written(root: Path) -> str:
    sentences, words = set(), set()
    for path in _files(root, SPEAKERS):
        sentences |= set(sentences_of(ast.parse(path.read_text(encoding="utf-8"))))
    for path in _files(root, WORD_FILES):
        words |= set(words_of(ast.parse(path.read_text(encoding="utf-8"))))
    for path in _files(root, CODE_FILES):
        words |= set(codes_of(ast.parse(path.read_text(encoding="utf-8"))))
    words |= set(WORDS_BY_HAND)
    words |= set(fields_of(ast.parse((root / LIMITS).read_text(encoding="utf-8"))))
    return (
        '"""Made by `manage.py collect_sentences`; not to be edited."""\n# ruff: noqa: E501\n# fmt: off\n\n'
        "from django.utils.translation import gettext_noop as _\n\n"
        "SENTENCES = frozenset(\n    (\n"
        + "".join(f"        _({_quoted(text)}),\n" for text in sorted(sentences))
        + "    )\n)\nWORDS = frozenset(\n    (\n"
        + "".join(f"        _({_quoted(text)}),\n" for text in sorted(words - sentences))
        + "    )\n)\n"
    )


def sentences_of(tree: ast.AST) -> Iterator[str]:
    for text in _texts(tree):
        if _SENTENCE.search(text) and not _SQL.search(text) and " | " not in text:
            yield text


def words_of(tree: ast.AST) -> Iterator[str]:
    """Values and labels of enumerations."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef) and any(_name(base) in WORD_CLASSES for base in node.bases):
            for line in node.body:
                if isinstance(line, ast.Assign):
                    yield from (text.replace("_", " ") for text in _texts(line.value) if text)


def codes_of(tree: ast.AST) -> Iterator[str]:
    yield from (text.replace("_", " ") for text in _texts(tree) if _CODE.fullmatch(text))


def fields_of(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            yield node.target.id.replace("_", " ")


def _name(node: ast.AST) -> str:
    return str(getattr(node, "id", getattr(node, "attr", "")))


def _texts(node: ast.AST) -> Iterator[str]:
    """Texts and f-strings under `node`, holes numbered; without docstrings, log lines and what is marked already."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
        return
    if isinstance(node, ast.JoinedStr):
        yield _template(node)
        return
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return
    if isinstance(node, ast.Call):
        owner = getattr(getattr(node.func, "value", None), "id", "")
        if _name(node.func) in _MARKED | _NOT_SAID or owner in ("log", "logger"):
            return
    if isinstance(node, ast.Assert | ast.Subscript | ast.Dict):
        return
    for child in ast.iter_child_nodes(node):
        yield from _texts(child)


def _template(node: ast.JoinedStr) -> str:
    parts, hole = [], 0
    for value in node.values:
        if isinstance(value, ast.Constant):
            parts.append(str(value.value))
        else:
            parts.append(f"{{{hole}}}")
            hole += 1
    return "".join(parts)


def _files(root: Path, names: tuple[str, ...]) -> Iterator[Path]:
    for name in names:
        path = root / name
        found = sorted(path.rglob("*.py")) if path.is_dir() else [path]
        yield from (each for each in found if not any(part in each.as_posix() for part in SILENT))


def _quoted(text: str) -> str:
    """As the formatter wants it."""
    return '"' + text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"') + '"'
