"""The runner of the benches: what it lists, what it runs, and how it ends."""

import re
import sys

import pytest

from tests.benchmarks import __main__ as runner


def test_every_bench_has_a_title_that_says_what_it_measures():
    known = runner.benches()
    assert {"klines", "stream_decode", "indicators", "decide", "risk", "backtest"} <= set(known)
    assert [name for name, path in known.items() if len(runner.title(path)) < 30] == []


def test_every_bench_has_its_section_and_no_other_is_named():
    page = (runner.ROOT / "docs" / "load_testing.md").read_text()
    assert set(re.findall(r"`make bench ARGS=(\w+)`", page)) == set(runner.benches())


@pytest.fixture
def two(tmp_path, monkeypatch):
    """One bench that works and one that does not, in a package of their own."""
    folder = tmp_path / "tests" / "benchmarks"
    folder.mkdir(parents=True)
    (folder / "bench_good.py").write_text('"""The good one."""\nprint("a row of figures")\n')
    (folder / "bench_bad.py").write_text('"""The bad one."""\nraise SystemExit(3)\n')
    monkeypatch.setattr(runner, "HERE", folder)
    monkeypatch.setattr(runner, "ROOT", tmp_path)

    def ended(*arguments: str) -> int:
        monkeypatch.setattr(sys, "argv", ["benchmarks", *arguments])
        return runner.main()

    return ended


def test_one_failure_fails_the_run_but_the_others_are_measured(two, capfd):
    assert two() == 1
    out = capfd.readouterr().out
    assert "== good: The good one." in out
    assert "a row of figures" in out
    assert " s, FAILED with exit code 3\n" in out
    assert out.endswith("1 of 2 done; failed: bad\n")


def test_only_the_named_ones_run(two, capfd):
    assert two("bench_good.py") == 0
    assert "bad" not in capfd.readouterr().out


def test_listing_runs_nothing(two, capfd):
    assert two("--list") == 0
    out = capfd.readouterr().out
    assert out.split() == ["bad", "The", "bad", "one.", "good", "The", "good", "one."]


def test_a_wrong_name_is_refused_with_the_right_ones(two, capfd):
    with pytest.raises(SystemExit):
        two("kline")
    assert "no such bench: kline; there are bad, good" in capfd.readouterr().err
