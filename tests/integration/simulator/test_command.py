"""The command line: one line when ready, clean ends, and one clear sentence with exit code 2 where it cannot start."""

import json
import re
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from avigrid.exchange.simulator.launch import main

ROOT = Path(__file__).parents[3]
PROGRAM = [sys.executable, "-m", "avigrid.exchange.simulator"]


def started(*arguments: str) -> tuple[subprocess.Popen[str], str]:
    process = subprocess.Popen(
        [*PROGRAM, "--port", "0", *arguments], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    found = re.search(r"http://127\.0\.0\.1:\d+", line)
    assert found, (line, process.stderr.read() if process.stderr else "")
    return process, found.group(0)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_says_where_it_is_and_ends_cleanly(number: signal.Signals) -> None:
    process, url = started("--symbols", "BTCUSDT", "--hedge", "--balance", "2500")
    try:
        with urllib.request.urlopen(f"{url}/v5/market/instruments-info?category=linear", timeout=5) as answer:
            assert b'"BTCUSDT"' in answer.read()
    finally:
        process.send_signal(number)
        output, errors = process.communicate(timeout=20)
    assert (process.returncode, output, errors) == (0, "", "")


def refusal(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(list(arguments)) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    return captured.err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--symbols", "FOOUSDT"], "unknown symbol FOOUSDT"),
        (["--source", "replay:/does/not/exist"], "there is no file or directory /does/not/exist"),
        (["--source", "yesterday"], "must be synthetic, replay:PATH or live"),
        (["--speed", "-1"], "--speed must be within 0..1000"),
        (["--speed", "nan"], "--speed must be within 0..1000"),
        (["--port", "99999"], "--port must be within"),
        (["--balance", "much"], "--balance must be a number"),
        (["--start", "tomorrow"], "--start must be an ISO time"),
        (["--source", "live", "--speed", "2"], "live runs at --speed 1"),
        (["--source", "live", "--live-url", "http://x"], "must begin with ws:// or wss://"),
    ],
)
def test_what_cannot_be_is_one_sentence(capsys: pytest.CaptureFixture[str], arguments: list[str], says: str) -> None:
    assert says in refusal(capsys, *arguments)


def test_a_broken_csv_line_is_named(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "BTCUSDT_5m.csv"
    path.write_text("start_ms,open,high,low,close,volume\n1767571200000,1,1,1,1,1\n1767571500000,1,1,oops,1,1\n")
    assert refusal(capsys, "--source", f"replay:{path}") == f"{path}: line 3: 'oops' is no number\n"


def test_a_taken_port_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    process, url = started("--symbols", "BTCUSDT", "--speed", "0")
    try:
        port = url.rsplit(":", 1)[1]
        text = refusal(capsys, "--symbols", "BTCUSDT", "--speed", "0", "--port", port)
        assert text.startswith(f"cannot listen on 127.0.0.1:{port}: ")
    finally:
        process.terminate()
        assert process.wait(20) == 0


def test_a_fast_clock_runs_fast() -> None:
    process, url = started("--symbols", "BTCUSDT", "--speed", "100")
    try:

        def now_ms() -> int:
            # not /v5/market/time: a tight loop over Bybit's own paths meets the limit of an address
            with urllib.request.urlopen(f"{url}/sim/clock", timeout=5) as answer:
                return int(json.load(answer)["now_ms"])

        began_ms, began_s = now_ms(), time.monotonic()
        while now_ms() - began_ms < 60_000:
            assert time.monotonic() - began_s < 30
    finally:
        process.terminate()
        process.wait(20)
