"""`manage.py backfill` over REST with a hand-made venue, and killed for real while it imports a file."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from decimal import Decimal
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from avigrid.kernel.clock import FixedClock
from avigrid.kernel.errors import Retryable
from avigrid.kernel.instrument import Instrument
from marketdata.management.commands import backfill as command_module
from marketdata.models import BackfillRun, Kline
from marketdata.runtime.venue import PublicVenue
from marketdata.selectors.coverage import coverage
from marketdata.selectors.funding import funding_rates
from tests.support.bars import T0, saw_table
from tests.support.market_reader import FakeMarketReader

ROOT = Path(__file__).resolve().parents[3]
HOUR_MS = 3_600_000


def listed(symbol: str) -> Instrument:
    one = Decimal(1)
    return Instrument(symbol, symbol[:-4], "USDT", one, one, one, one, one, one, one, one, one, 480)


@pytest.fixture
def venue(monkeypatch):
    reader = FakeMarketReader()
    for symbol in ("BTCUSDT", "ETHUSDT"):
        for interval_min in (5, 15):
            for bar in saw_table(1440 // interval_min, symbol=symbol, interval_min=interval_min).klines():
                reader.bars[symbol, interval_min, bar.start_ms] = bar
    reader.listed = [listed("BTCUSDT"), listed("ETHUSDT")]
    reader.funding = [(T0 + 8 * HOUR_MS, Decimal("0.0001"))]
    monkeypatch.setattr(command_module, "public_venue", lambda: PublicVenue(reader, FixedClock(T0 + 24 * HOUR_MS)))
    return reader


def run(capsys, *args):
    capsys.readouterr()
    call_command("backfill", *args)
    return capsys.readouterr()


@pytest.mark.django_db
def test_a_dry_run_plans_and_stores_nothing(venue, capsys):
    out = run(capsys, "--symbols", "BTCUSDT", "--intervals", "5,15", "--from", "2025-09-24", "--dry-run").out
    assert "BTCUSDT 5m 2025-09-24 00:00 to 2025-09-25 00:00: 288 bars missing, 0 gaps, 1 requests" in out
    assert "BTCUSDT 15m 2025-09-24 00:00 to 2025-09-25 00:00: 96 bars missing, 0 gaps, 1 requests" in out
    assert Kline.objects.count() == 0
    assert venue.asked == []


@pytest.mark.django_db
def test_it_fetches_skips_the_unlisted_and_sums_up(venue, capsys):
    args = ["--symbols", "BTCUSDT,NOSUCHUSDT", "--intervals", "5", "--from", "2025-09-24", "--funding", "--json"]
    printed = run(capsys, *args)
    summary = json.loads(printed.out)
    assert "NOSUCHUSDT is not listed by the exchange: skipped." in printed.err
    assert summary["not_listed"] == ["NOSUCHUSDT"]
    assert [(part["symbol"], part["stored"], part["unavailable"]) for part in summary["parts"]] == [("BTCUSDT", 288, 0)]
    assert summary["funding_rates"] == 1
    assert funding_rates("BTCUSDT", T0, T0 + 24 * HOUR_MS) == [(T0 + 8 * HOUR_MS, Decimal("0.0001"))]
    text = run(capsys, "--symbols", "BTCUSDT", "--intervals", "5", "--from", "2025-09-24", "--no-progress").out
    assert "BTCUSDT 5m: 0 of 0 missing bars stored, gaps found 0, filled 0" in text


@pytest.mark.django_db
def test_the_progress_bar_tells_share_rate_and_time_left(venue, capsys):
    err = run(capsys, "--symbols", "BTCUSDT", "--intervals", "5,15", "--from", "2025-09-24").err
    last = err.rsplit("\r", 1)[-1]
    # 288 bars of 5m and 96 of 15m; [elapsed<left, rate]
    assert re.search(r"100%.*384/384 \[\d\d:\d\d<\d\d:\d\d, +[\d.]+k? bars/s\]", last), last
    assert run(capsys, "--symbols", "BTCUSDT", "--intervals", "5", "--from", "2025-09-24", "--no-progress").err == ""


@pytest.mark.django_db
def test_a_failing_series_makes_the_exit_code_1(venue, capsys, monkeypatch):
    monkeypatch.setattr(venue, "klines", _refuse)
    monkeypatch.setattr("marketdata.runtime.backfill._patiently", lambda call, pace: call())
    with pytest.raises(SystemExit) as caught:
        run(capsys, "--symbols", "BTCUSDT", "--intervals", "5", "--from", "2025-09-24", "--no-progress")
    assert caught.value.code == 1
    assert "FAILED: retryable: busy" in capsys.readouterr().out


def _refuse(*args, **kwargs):
    raise Retryable("busy")


@pytest.mark.django_db
def test_an_unreachable_venue_is_one_sentence(monkeypatch):
    def away():
        raise Retryable("connection refused")

    monkeypatch.setattr(command_module, "public_venue", away)
    with pytest.raises(CommandError, match="The exchange cannot be asked: connection refused") as caught:
        call_command("backfill")
    assert caught.value.returncode == 2


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_an_import_killed_half_way_continues_and_ends_complete(tmp_path):
    path = tmp_path / "BTCUSDT_1m.csv"
    with path.open("w") as out:
        out.write("start_ms,open,high,low,close,volume\n")
        out.writelines(f"{T0 + n * 60_000},100,101,99,100.5,{1 + n % 5}\n" for n in range(400_000))
    settings = connection.settings_dict
    url = f"postgresql://{settings['USER']}@/{settings['NAME']}?host={settings['HOST']}"
    if settings["PORT"]:
        url = f"postgresql://{settings['USER']}:{settings['PASSWORD']}@{settings['HOST']}:{settings['PORT']}/{settings['NAME']}"
    environment = os.environ | {"DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "avigrid.settings.test"}
    line = [sys.executable, "-m", "django", "backfill", "--file", str(path), "--json"]

    child = subprocess.Popen(line, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 60
    while not Kline.objects.exists():
        assert child.poll() is None, child.stderr.read().decode()[-2000:]
        assert time.monotonic() < deadline
    child.send_signal(signal.SIGKILL)
    child.communicate()
    stored = Kline.objects.count()
    assert 0 < stored < 400_000
    assert stored % 50_000 == 0  # whole transactions only
    assert BackfillRun.objects.get().state == "running"

    done = subprocess.run(line, cwd=ROOT, env=environment, capture_output=True, check=True, timeout=120)
    (summary,) = json.loads(done.stdout)["files"]
    assert summary["bars"]["new"] == 400_000 - stored
    assert summary["bars"]["seen"] == 400_000 - stored
    report = coverage("BTCUSDT", 1)
    assert (report.bars, report.holes) == (400_000, ())
