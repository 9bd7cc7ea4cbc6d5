"""What is stored in English is said in Russian: sentences by their pattern, codes as words; the catalogue is whole."""

import gettext
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.utils import translation

from avigrid.common.management.commands import collect_sentences
from avigrid.common.spoken import said, worded

ROOT = Path(__file__).resolve().parents[2]
CATALOGUE = ROOT / "locale" / "ru" / "LC_MESSAGES"
NEEDS_GETTEXT = pytest.mark.skipif(shutil.which("xgettext") is None, reason="gettext is not on this machine")


@pytest.fixture
def russian() -> Iterator[None]:
    with translation.override("ru"):
        yield


@pytest.mark.parametrize(
    ("english", "expected"),
    [
        ("Somebody has placed this signal already.", "Этот сигнал уже кто-то выставил."),
        ("No price of BTCUSDT is known.", "Цена BTCUSDT неизвестна."),
        # what fills a hole is said too
        ("Plan 7 is over: closed.", "План 7 завершён: закрыт."),
        ("No new risk on SOLUSDT: a plan is being closed.", "Нового риска по SOLUSDT нет: план закрывается."),
        # two sentences joined
        ("nobody placed it in time; no volume", "никто не выставил вовремя; нет объёма"),
        # what nobody collected stays as it is
        ("checked by hand", "checked by hand"),
        ("", ""),
    ],
)
def test_a_stored_sentence_in_russian(russian: None, english: str, expected: str) -> None:
    assert said(english) == expected


def test_in_english_nothing_changes() -> None:
    with translation.override("en"):
        assert said("Plan 7 is over: closed.") == "Plan 7 is over: closed."
        assert worded("max_total_risk_r") == "risk in all, R"


def test_a_code_in_russian(russian: None) -> None:
    assert worded("max_total_risk_r") == "общий риск, R"
    assert worded("take_profit") == "тейк-профит"


def test_the_list_of_sentences_is_current() -> None:
    assert collect_sentences.LIST.read_text(encoding="utf-8") == collect_sentences.written(ROOT), (
        "run `make messages` and translate what is new"
    )


def entries() -> list[str]:
    return (CATALOGUE / "django.po").read_text(encoding="utf-8").split("\n\n")[1:]


def test_no_entry_is_empty_or_a_guess() -> None:
    bad = [
        entry for entry in entries()
        if re.search(r"^#,.*fuzzy", entry, re.M) or re.search(r'^msgstr(\[\d\])? ""$(?!\n")', entry, re.M)
    ]  # fmt: skip
    assert bad == []


def test_holes_are_the_same_in_both_languages() -> None:
    hole = re.compile(r"%\(\w+\)(?:\.\d+)?[sdf]|\{\d\}")
    for entry in entries():
        asked, _, answers = entry.partition("\nmsgstr")
        wanted = set(hole.findall(asked))
        for answer in re.split(r"\nmsgstr", answers):
            assert set(hole.findall(answer)) == wanted, entry


@NEEDS_GETTEXT
def test_the_compiled_catalogue_is_of_this_text(tmp_path: Path) -> None:
    """It stands in the repository, so that a clone speaks Russian without gettext on the machine."""
    fresh = tmp_path / "django.mo"
    subprocess.run(["msgfmt", "--check", "-o", str(fresh), str(CATALOGUE / "django.po")], check=True)
    with fresh.open("rb") as new, (CATALOGUE / "django.mo").open("rb") as kept:
        assert gettext.GNUTranslations(new)._catalog == gettext.GNUTranslations(kept)._catalog  # type: ignore[attr-defined]


@NEEDS_GETTEXT
def test_no_marked_text_is_missing_from_the_catalogue(tmp_path: Path) -> None:
    """The tool runs over a copy, as `make messages` runs over the tree."""
    for name in ("accounts", "avigrid", "marketdata", "risk", "trading", "templates", "locale", "manage.py"):
        source = ROOT / name
        ignore = shutil.ignore_patterns("__pycache__", "*.mo")
        if source.is_dir():
            shutil.copytree(source, tmp_path / name, ignore=ignore)
        else:
            shutil.copy(source, tmp_path / name)
    before = ids(tmp_path)
    command = [sys.executable, "-m", "django", "makemessages", "-l", "ru", "--no-location", "--no-obsolete"]
    subprocess.run(command, cwd=tmp_path, env=_without_settings(), check=True, capture_output=True, timeout=120)
    after = ids(tmp_path)
    assert sorted(after - before) == []
    assert sorted(before - after) == [], "no longer in the source"


def _without_settings() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}


def ids(root: Path) -> set[str]:
    text = (root / "locale/ru/LC_MESSAGES/django.po").read_text(encoding="utf-8")
    found = re.findall(r'^msgid ((?:".*"\n)+)', text, re.M)
    return {"".join(re.findall(r'"(.*)"', each)) for each in found}
