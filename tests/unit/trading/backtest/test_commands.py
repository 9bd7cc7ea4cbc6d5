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
        (["--r-usd", "-5"], "--r-usd must be a number above 0, got -5"),
        (["--file", "nowhere.csv", "--symbol", "B"], "nowhere.csv cannot be read"),
        (["--symbol", "B"], "1 files, 2 symbols"),
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
