"""The research commands on files: what they write, and that wrong input gets a sentence, not a traceback."""

import csv
import gzip
import json
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from tests.unit.trading.backtest.synthetic import bars

DECISION_HEADER = (
    "start_ms,direction,vwap,sigma,atr,donchian_high,donchian_low,imbalance,trend,atr_pct,score,failed_rules"
)


@pytest.fixture(scope="module")
def klines(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = bars(3000)
    path = tmp_path_factory.mktemp("bars") / "TESTUSDT_5m.csv.gz"
    with gzip.open(path, "wt") as file:
        file.write("start_ms,open,high,low,close,volume\n")
        for i in range(len(made)):
            values = [getattr(made, name)[i].item() for name in ("open", "high", "low", "close", "volume")]
            file.write(",".join(map(repr, [int(made.start_ms[i]), *values])) + "\n")
    return path


def run(command: str, *arguments: str) -> str:
    out = StringIO()
    call_command(command, *arguments, stdout=out, stderr=StringIO())
    return out.getvalue()


def test_backtest_writes_everything_and_twice_the_same(klines: Path, tmp_path: Path) -> None:
    def once(folder: Path) -> dict[str, bytes]:
        folder.mkdir()
        run(
            "backtest",
            *("--file", str(klines), "--symbol", "TESTUSDT", "--profile", "grid", "--set", "theta=0.1"),
            *("--set", "max_cost_r=1", "--report", str(folder / "report"), "--trades", str(folder / "trades.csv")),
            *("--decisions", str(folder / "decisions.csv")),
        )
        return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*.*")) if p.is_file()}

    first = once(tmp_path / "a")
    assert set(first) == {
        "decisions.csv",
        "trades.csv",
        "report/report.html",
        "report/report.json",
        "report/trades.csv",
    }
    assert once(tmp_path / "b") == first
    text = first["decisions.csv"].decode()
    assert text.splitlines()[0] == DECISION_HEADER
    rows = list(csv.DictReader(StringIO(text)))
    assert len(rows) == 3000
    assert rows[0]["vwap"] == ""
    assert {row["direction"] for row in rows} == {"1", "-1", "0"}
    assert all((row["failed_rules"] == "") == (row["direction"] != "0") for row in rows[300:])
    report = json.loads(first["report/report.json"])
    assert report["config"]["profile"] == "grid"
    assert report["config"]["theta"] == 0.1


def test_the_summary_names_costs_and_the_proxy(klines: Path) -> None:
    told = run("backtest", "--file", str(klines), "--symbol", "TESTUSDT", "--check", "--set", "max_cost_r=1")
    for word in ("imbalance by bar proxy", "fees -", "net ", "max drawdown", "lookahead: 252 decisions", "warm_up"):
        assert word in told


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--set", "theta=7"], "theta must be a number from 0 to 1, got 7"),
        (["--set", "thetta=0.3"], "unknown field 'thetta'"),
        (["--set", "theta"], "field=value"),
        (["--from", "2030-01-01"], "no bars from 2030-01-01"),
        (["--from", "yesterday"], "--from must be a date"),
        (["--from", "2025-10-02", "--to", "2025-10-01"], "must lie before"),
        (["--to", "2025-09-24T20:00"], "warm-up of 289 5m and 50 15m bars"),
        (["--from", "2025-09-24", "--to", "2025-09-25"], "288 5m and 96 15m bars do not reach past the warm-up of 289"),
        (["--r-usd", "1e400"], "--r-usd must be at most 1000000000"),
        (["--trades", "nowhere/trades.csv"], "--trades cannot be written"),
        (["--decisions", "."], "--decisions names a folder"),
        (["--report", "/dev/null/report"], "--report /dev/null/report cannot be made"),
        (["--r-usd", "-5"], "--r-usd must be a number above 0, got -5"),
        (["--file", "nowhere.csv", "--symbol", "B"], "nowhere.csv cannot be read"),
        (["--symbol", "B"], "1 files, 2 symbols"),
        (["--funding", "a.csv", "--funding", "b.csv"], "--funding goes with --file, in its order: 2 given for 1"),
        (["--file-1m", "a.csv", "--file-1m", "b.csv"], "--file-1m goes with --file"),
        (["--file-15m", "a.csv", "--file-15m", "b.csv"], "--file-15m goes with --file"),
        (["--config", "nowhere.json"], "nowhere.json cannot be read as JSON"),
    ],
)
def test_wrong_input_gets_a_sentence(klines: Path, arguments: list[str], sentence: str) -> None:
    with pytest.raises(CommandError) as refused:
        run("backtest", "--file", str(klines), "--symbol", "TESTUSDT", *arguments)
    assert sentence in str(refused.value)


def test_a_broken_row_is_named(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("start_ms,open,high,low,close,volume\n1758672000000,1,2,1,1.5,3\n1758672300000,1,2,oops,1.5,3\n")
    with pytest.raises(CommandError, match=r"x\.csv row 3: want start,open,high,low,close,volume"):
        run("backtest", "--file", str(path), "--symbol", "A")


def test_a_start_inside_the_warm_up_is_told(klines: Path) -> None:
    """3,000 bars from 2025-09-24 00:00; the 289 bars before the first decision are those of a whole day and one."""
    base = ("backtest", "--file", str(klines), "--symbol", "TESTUSDT")
    assert "TESTUSDT: decisions begin at 2025-09-25 00:05, 288 bars of warm-up" in run(*base)
    assert "decisions begin at 2025-09-25 00:05, 144 bars of warm-up" in run(*base, "--from", "2025-09-24T12:00")
    assert "decisions begin" not in run(*base, "--from", "2025-09-26")


def test_decisions_of_several_symbols_are_refused_before_any_work(
    klines: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("the replay ran")

    monkeypatch.setattr("trading.management.commands.backtest.run_backtest", never)
    both = ["--file", str(klines), "--symbol", "AUSDT", "--file", str(klines), "--symbol", "BUSDT"]
    with pytest.raises(CommandError, match="--decisions takes one symbol"):
        run("backtest", *both, "--decisions", str(tmp_path / "d.csv"), "--report", str(tmp_path / "report"))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("start_ms,open,high,low,close,volume\n", "holds no bars"),
        ("99999999999999999999,1,1,1,1,1\n", "row 1: want start,open"),
        ("".join(f"{i * 60_000},1,1,1,1,1\n" for i in range(1, 9)), "60 s apart, wanted are bars of 5 minutes"),
        ("300000,1,1,1,1,1\n600000,1,1,1,1,1\n1200000,1,1,1,1,1\n", "do not follow each other after 600000"),
        (
            "300000,1,1,1,1,1\n600000,1,1,1,1,1\n300000,1,2,1,1,1\n",
            r"x\.csv row 3: 1970-01-01 00:05 \(300000\) is told twice with other values",
        ),
    ],
)
def test_a_file_that_will_not_do(tmp_path: Path, text: str, sentence: str) -> None:
    path = tmp_path / "x.csv"
    path.write_text(text)
    with pytest.raises(CommandError, match=sentence):
        run("backtest", "--file", str(path), "--symbol", "A")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--axis", "thetta=[0.1]"], "unknown field 'thetta'"),
        (["--axis", "theta=[0.1,7]"], "theta must be a number from 0 to 1, got 7"),
        (["--axis", "theta=0.1", "--axis", "theta=0.2"], "--axis names theta twice"),
        (["--axis", "theta=0.1", "--top", "0"], "--top: must be a whole number of at least 1, got 0"),
        (["--axis", "theta=0.1", "--workers", "x"], "--workers: must be a whole number of at least 1, got x"),
        (["--axis", "theta=0.1", "--out", "nowhere/rows.jsonl"], "--out cannot be written"),
    ],
)
def test_wrong_input_to_a_sweep_gets_a_sentence(klines: Path, arguments: list[str], sentence: str) -> None:
    with pytest.raises(CommandError) as refused:
        run("sweep", "--file", str(klines), "--symbol", "TESTUSDT", *arguments)
    assert sentence in str(refused.value)


@pytest.mark.parametrize("rate", ["abc", "NaN", "0.02"])
def test_a_fee_that_is_none_is_refused(klines: Path, rate: str) -> None:
    with pytest.raises(CommandError, match="--taker must be a ratio from 0 to 0.01"):
        run("verify_strategy", "--file", str(klines), "--symbol", "TESTUSDT", "--taker", rate)


def test_a_bar_told_twice_alike_is_one_bar(klines: Path, tmp_path: Path) -> None:
    with gzip.open(klines, "rt") as file:
        lines = file.read().splitlines()
    path = tmp_path / "twice.csv"
    path.write_text("\n".join([*lines, lines[5], lines[9]]))
    base = ("--symbol", "TESTUSDT", "--profile", "grid")
    assert run("backtest", "--file", str(path), *base) == run("backtest", "--file", str(klines), *base)


def test_a_funding_rate_told_twice_otherwise_is_refused(klines: Path, tmp_path: Path) -> None:
    path = tmp_path / "funding.csv"
    path.write_text("time_ms,funding_rate\n1758672000000,0.0001\n1758672000000,0.0002\n")
    with pytest.raises(CommandError, match=r"funding\.csv row 3: 2025-09-24 00:00 .* other rates"):
        run("backtest", "--file", str(klines), "--symbol", "TESTUSDT", "--funding", str(path))


def test_sweep_goes_on_where_it_stopped(klines: Path, tmp_path: Path) -> None:
    out = tmp_path / "rows.jsonl"
    arguments = ["--file", str(klines), "--symbol", "TESTUSDT", "--set", "max_cost_r=1", "--out", str(out)]
    arguments += ["--axis", "theta=[0.1,0.2,0.3]", "--axis", "atr_mult_x=4,8", "--shard-size", "2"]
    whole = run("sweep", *arguments)
    lines = out.read_text().splitlines()
    assert len(lines) == 3
    out.write_text("\n".join(lines[:2]) + '\n{"torn')
    assert run("sweep", *arguments) == whole
    assert sorted(out.read_text().splitlines()) == sorted(lines)
    with pytest.raises(CommandError, match="belongs to another sweep"):
        run("sweep", *arguments, "--set", "max_cycles=1")
    with pytest.raises(CommandError, match="theta must be a number"):
        run("sweep", *arguments[:6], "--set", "theta=7", "--axis", "rungs=[1]")


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        (["--shard-size", "3"], "shard size"),
        (["--axis", "atr_mult_x=[4,8]", "--axis", "theta=[0.1,0.2,0.3]"], "numbers and axes"),
        (["--tick", "0.5"], "filters"),
        (["--qty-step", "0.1"], "filters"),
        (["--from", "2025-09-26"], "first decision"),
        (["--to", "2025-10-02"], "bars"),
        (["--r-usd", "50"], "R"),
    ],
)
def test_a_sweep_goes_on_only_with_rows_of_the_same_sweep(
    klines: Path, tmp_path: Path, changes: list[str], what: str
) -> None:
    out = tmp_path / "rows.jsonl"
    base = ["--file", str(klines), "--symbol", "TESTUSDT", "--set", "max_cost_r=1", "--out", str(out)]
    axes = ["--axis", "theta=[0.1,0.2,0.3]", "--axis", "atr_mult_x=[4,8]"]
    run("sweep", *base, *axes, "--shard-size", "2")
    kept = out.read_text()
    if changes[0] != "--axis":
        changes = [*axes, *changes]
    with pytest.raises(CommandError, match=f"belongs to another sweep: .*{what}.* differ"):
        run("sweep", *base, "--shard-size", "2", *changes)
    assert out.read_text() == kept


def test_a_sweeps_row_is_the_backtest_with_the_same_first_decision(klines: Path, tmp_path: Path) -> None:
    out, folder = tmp_path / "rows.jsonl", tmp_path / "report"
    common = ["--file", str(klines), "--symbol", "TESTUSDT", "--set", "max_cost_r=1", "--from", "2025-09-30"]
    told = run("sweep", *common, "--axis", "theta=[0.1,0.2]", "--out", str(out))
    assert "imbalance by bar proxy" in told
    for row in json.loads(out.read_text())["rows"]:
        run("backtest", *common, "--set", f"theta={row['changes']['theta']}", "--report", str(folder))
        m = json.loads((folder / "report.json").read_text())["metrics"]
        assert (row["plans"], row["trades"]) == (m["plans"], m["trades"])
        assert row["sum_r"] == pytest.approx(m["sum_r"])
        assert m["trades"] > 3


@pytest.mark.parametrize("command", ["sweep", "calibrate"])
def test_bars_that_never_warm_up_are_refused(klines: Path, command: str) -> None:
    axis = ("--axis", "theta=[0.1]") if command == "sweep" else ()
    with pytest.raises(CommandError, match="do not reach past the warm-up of 289 5m"):
        run(command, "--file", str(klines), "--symbol", "TESTUSDT", "--to", "2025-09-24T20:00", *axis)


def test_calibrate_begins_where_it_is_asked_to(klines: Path) -> None:
    days = ("--train-days", "4", "--test-days", "2", "--step-days", "1")
    base = ("calibrate", "--file", str(klines), "--symbol", "TESTUSDT", *days)
    assert "4 folds from 2025-09-25 10:00" in run(*base)
    assert "1 folds from 2025-09-28 10:00" in run(*base, "--from", "2025-09-28")


def test_numbers_are_named_by_where_they_come_from(klines: Path, tmp_path: Path) -> None:
    base = ("backtest", "--file", str(klines), "--symbol", "TESTUSDT")
    assert "numbers: the defaults, config " in run(*base)
    assert "numbers: the defaults with theta=0.2, profile=grid, config " in run(
        *base, "--set", "theta=0.2", "--profile", "grid"
    )
    path = tmp_path / "mine.json"
    path.write_text('{"theta": 0.3}')
    assert "numbers: mine.json, config " in run(*base, "--config", str(path))


def test_calibrate_writes_the_run_and_a_config(klines: Path, tmp_path: Path) -> None:
    told = run(
        "calibrate",
        *("--file", str(klines), "--symbol", "TESTUSDT", "--set", "max_cost_r=1", "--train-days", "6"),
        *("--test-days", "2", "--step-days", "1", "--out", str(tmp_path / "run.json")),
        *("--config-out", str(tmp_path / "config.json")),
    )
    assert "accepted" in told
    assert len(json.loads((tmp_path / "run.json").read_text())["hours"]) == 24
    again = run("backtest", "--file", str(klines), "--symbol", "TESTUSDT", "--config", str(tmp_path / "config.json"))
    assert "signals" in again
    with pytest.raises(CommandError, match="needs 210 days"):
        run("calibrate", "--file", str(klines), "--symbol", "TESTUSDT")


def test_research_can_be_switched_off(klines: Path, settings: object) -> None:
    settings.AVIGRID = {**settings.AVIGRID, "RESEARCH": False}  # type: ignore[attr-defined]
    with pytest.raises(CommandError, match="switched off"):
        run("backtest", "--file", str(klines), "--symbol", "TESTUSDT")
