"""Real processes, killed for real: a backfill over REST, and one of two that follow the market."""

import json
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise

import pytest
from django.db.models import Count
from django.db.models.functions import Now
from django.utils import timezone

from avigrid.common.models import Lease
from marketdata.models import BackfillRun, BookFeature, DataGap, Kline
from marketdata.runtime.shards import SYMBOL
from marketdata.selectors.coverage import coverage
from marketdata.selectors.times import to_ms
from marketdata.services.gaps import gaps_settle
from tests.support.processes import environment, exchange_process, manage
from tests.support.simulator_server import eventually
from trading.avi5.config import StrategyConfig
from trading.models import Decision
from trading.services.strategy_versions import strategy_version_create

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]
SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT", "XRPUSDT")


@contextmanager
def all_killed(*processes: subprocess.Popen[str]) -> Iterator[None]:
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def test_a_backfill_over_rest_that_was_killed_continues_and_ends_complete() -> None:
    line = ("backfill", "--intervals", "1", "--from", "2026-01-24", "--to", "2026-01-25", "--no-progress", "--json")
    with exchange_process("--start", "2026-01-25T00:00") as url:
        env = environment(AVIGRID_SIMULATOR_URL=url, AVIGRID_MARKET_ENVIRONMENT="simulated")
        child = manage(*line, env=env)
        with all_killed(child):
            eventually(lambda: child.poll() is not None or Kline.objects.exists(), timeout_s=60)
            child.send_signal(signal.SIGKILL)
            assert child.wait() == -signal.SIGKILL
        stored = dict(Kline.objects.values_list("symbol").annotate(bars=Count("id")))
        assert 0 < sum(stored.values()) < 15 * 1440
        assert set(stored.values()) <= {1000, 1440}  # whole answers of the venue only
        assert BackfillRun.objects.get().state == "running"
        again = manage(*line, env=env)
        with all_killed(again):
            out, _ = again.communicate(timeout=120)
    summary = json.loads(out)
    assert again.returncode == 0
    assert summary["resumed"] is True
    assert sum(part["stored"] for part in summary["parts"]) == 15 * 1440 - sum(stored.values())
    whole = [coverage(part["symbol"], 1) for part in summary["parts"]]
    assert [(one.bars, one.holes) for one in whole] == [(1440, ())] * 15


def holders() -> dict[str, str]:
    """Symbol -> who holds its live lease."""
    rows = Lease.objects.filter(name__startswith=SYMBOL, expires_at__gte=Now())
    return {name.removeprefix(SYMBOL): holder for name, holder in rows.values_list("name", "holder")}


def decided(symbol: str) -> int:
    return Decision.objects.filter(symbol=symbol).count()


def test_of_two_market_processes_one_is_killed_and_no_bar_is_lost_or_doubled() -> None:
    strategy_version_create(config=StrategyConfig(), actor="test", now=timezone.now())
    with exchange_process("--symbols", ",".join(SYMBOLS), "--speed", "30") as url:
        env = environment(
            AVIGRID_SIMULATOR_URL=url,
            AVIGRID_MARKET_ENVIRONMENT="simulated",
            AVIGRID_SYMBOLS=",".join(SYMBOLS),
        )
        one, two = manage("stream_market", env=env), manage("stream_market", env=env)
        with all_killed(one, two):
            eventually(
                lambda: sorted(list(holders().values()).count(h) for h in set(holders().values())) == [2, 2],
                timeout_s=60,
            )
            eventually(lambda: all(decided(symbol) >= 2 for symbol in SYMBOLS), timeout_s=60)
            victim = next(holder for holder in holders().values() if holder.endswith(f":{two.pid}"))
            moved = [symbol for symbol, holder in holders().items() if holder == victim]
            before = {symbol: decided(symbol) for symbol in moved}
            two.kill()
            two.wait()
            survivor = f":{one.pid}"
            # a lease of 9 s, and looked at every 2 s
            eventually(lambda: sum(h.endswith(survivor) for h in holders().values()) == 4, timeout_s=15)
            eventually(lambda: all(decided(symbol) >= before[symbol] + 3 for symbol in moved), timeout_s=60)
            one.send_signal(signal.SIGTERM)
            assert one.wait(timeout=30) == 0
    assert holders() == {}  # given back, not run out
    for symbol in SYMBOLS:
        for interval_min in (1, 5, 15):
            assert coverage(symbol, interval_min).holes == (), (symbol, interval_min)
        starts = [
            row.timestamp()
            for row in Decision.objects.filter(symbol=symbol).order_by("bar_start").values_list("bar_start", flat=True)
        ]
        assert {later - earlier for earlier, later in pairwise(starts)} == {300.0}
    # a hole that is still recorded lies behind the newest bar: the venue was asked for it when the end came
    for gap in DataGap.objects.filter(filled_at__isnull=True):
        newest_ms = coverage(gap.symbol, gap.interval_min).last_ms
        assert to_ms(gap.start) > newest_ms or gaps_settle(
            symbol=gap.symbol, interval_min=gap.interval_min, now_ms=newest_ms
        ), gap
    # nothing half written: no sample of a book without its bar
    bars = set(Kline.objects.filter(interval_min=5).values_list("symbol", "start"))
    assert set(BookFeature.objects.values_list("symbol", "bar_start")) <= bars
