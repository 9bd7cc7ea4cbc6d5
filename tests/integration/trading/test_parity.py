"""Live decisions made again from what is stored: the same bytes, and a changed bar is noticed."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from io import StringIO

import numpy as np
import pytest
from django.core.management import CommandError, call_command
from django.db import ProgrammingError
from django.db.models import QuerySet

from avigrid.exchange.kline_table import KlineTable
from avigrid.kernel.instrument import FeeRates
from avigrid.kernel.market import BookFeatures, Kline
from marketdata.models import KlineSource
from marketdata.services.bar_store import bar_store
from marketdata.services.instruments import instruments_store
from marketdata.services.klines import klines_bulk_store
from tests.unit.trading.backtest.synthetic import bars, filters
from trading.avi5.config import StrategyConfig
from trading.avi5.window import BAR_5M_MS, BAR_15M_MS, Bars
from trading.backtest.data import MarketData, aggregate
from trading.backtest.driver import decisions_of
from trading.backtest.series import IndicatorSeries, indicator_series
from trading.models import Decision, Signal, StrategyVersion
from trading.selectors.replay_data import stored_market_data
from trading.services import parity_replay
from trading.services.decisions import bar_decide
from trading.services.parity import parity_check
from trading.services.parity_replay import Replay, replay_check
from trading.services.strategy_versions import strategy_version_create

pytestmark = pytest.mark.django_db
COUNT, DECIDED = 1200, 60
NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)
CONFIG = StrategyConfig(theta=0.1, max_cost_r=1.0, trend_fast_bars=5, trend_slow_bars=15)
"""Short means, so that 400 bars of 15 minutes are more than a decision looks at."""


def table(part: Bars, interval_min: int) -> KlineTable:
    columns = (part.open, part.high, part.low, part.close, part.volume, np.ones(len(part)))
    return KlineTable("TESTUSDT", interval_min, part.start_ms, *columns)


@pytest.fixture
def decided() -> Bars:
    """1,140 bars of history, then 60 bars each stored with its book and decided on as the live worker does."""
    made = bars(COUNT, seed=3)
    end_ms = int(made.start_ms[-1]) + BAR_5M_MS
    instruments_store(listed=[filters()], wanted=["TESTUSDT"], now_ms=end_ms)
    first = COUNT - DECIDED
    klines_bulk_store(table(made.part(0, first), 5), source=KlineSource.REST, now_ms=end_ms)
    klines_bulk_store(table(aggregate(made, BAR_5M_MS, BAR_15M_MS), 15), source=KlineSource.REST, now_ms=end_ms)
    version = strategy_version_create(config=CONFIG, actor=None, now=NOW)
    for i in range(first, COUNT):
        values = [getattr(made, name)[i].item() for name in ("open", "high", "low", "close", "volume")]
        bar = Kline("TESTUSDT", 5, int(made.start_ms[i]), *values, 1.0, True)
        up = bar.close > bar.open
        lean = 0.6 if up else -0.6
        book = BookFeatures("TESTUSDT", bar.end_ms + 40, bar.close, lean, bar.close + lean / 100, 1.0, 2_000_000.0)
        bar_store(bar=bar, features=book, now_ms=bar.end_ms + 100)
        bar_decide(
            version=version,
            bar=bar,
            features=book,
            decided_ms=bar.end_ms + 120,
            next_funding_ms=bar.end_ms + 4 * 3_600_000,
            fees=FeeRates(),
            r_usd=Decimal(100),
            now=NOW,
        )
    return made


def test_every_stored_decision_is_made_again_to_the_byte(decided: Bars) -> None:
    found = parity_check(fees=FeeRates())
    assert (found.decisions, found.mismatches) == (DECIDED, ())
    assert found.signals == Signal.objects.count() > 0


def test_other_fees_or_a_changed_signal_are_noticed(decided: Bars) -> None:
    for row in Decision.objects.all():  # as they were before decisions named their fees: then the caller has to
        row.indicators = {name: value for name, value in row.indicators.items() if not name.endswith("_fee")}
        row.save()
    assert parity_check(fees=FeeRates()).mismatches == ()
    other = parity_check(fees=FeeRates(taker=Decimal("0.001")))
    assert len(other.mismatches) == DECIDED
    assert "cost_r" in other.mismatches[0].what
    signal = Signal.objects.latest("id")
    signal.spec = {**signal.spec, "stop": "1"}
    signal.save()
    assert [m.what for m in parity_check(fees=FeeRates()).mismatches] == ["plan differs from the signal's"]


def test_the_range_and_the_symbols_limit_what_is_checked(decided: Bars) -> None:
    start = int(decided.start_ms[-10])
    assert parity_check(from_ms=start, fees=FeeRates()).decisions == 10
    assert parity_check(to_ms_=start, fees=FeeRates()).decisions == DECIDED - 10
    assert parity_check(symbols=("OTHERUSDT",), fees=FeeRates()).decisions == 0


def test_a_replay_of_stored_bars_sees_the_books_that_were_recorded(decided: Bars) -> None:
    data = stored_market_data("TESTUSDT", CONFIG)
    assert data.book.has_book.sum() == DECIDED
    assert not data.is_15m_aggregated
    assert len(data.bars_5m) == COUNT
    newest = list(decisions_of(data, CONFIG, fees=FeeRates()))[-DECIDED:]
    stored = Decision.objects.order_by("bar_start")
    assert [d.imbalance for d in newest] == [row.indicators["imbalance"] for row in stored]
    assert not any(d.used_proxy for d in newest)


def test_the_command_reports_both_checks(decided: Bars) -> None:
    out = StringIO()
    call_command("verify_strategy", "--symbol", "TESTUSDT", stdout=out)
    told = out.getvalue()
    assert f"numbers: the active version avi5 v1, config {CONFIG.config_hash}" in told
    assert "lookahead: 252 decisions" in told
    assert "warm_up: 60 decisions from the live window" in told
    assert f"parity: {DECIDED} stored decisions" in told
    assert f"0 differ from the live window's; of {DECIDED} 0 differ from a replay's" in told
    Decision.objects.filter(pk=Decision.objects.latest("id").pk).update(indicators={})
    assert _code() == 1


def test_what_could_not_be_checked_is_no_success(decided: Bars) -> None:
    assert _code("--from", "2030-01-01", "--symbol", "OTHERUSDT") is None  # refused with a sentence
    Signal.objects.all().delete()
    Decision.objects.all().delete()
    assert _code() == 2
    assert _code("--no-parity") == 0
    # the slow mean of the defaults looks back further than what is stored
    assert _code("--no-parity", "--config", "defaults") == 2


def test_a_database_without_decisions_table_gets_a_sentence(decided: Bars, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(**_: object) -> None:
        raise ProgrammingError('relation "trading_decision" does not exist\nLINE 1: ...')

    monkeypatch.setattr("trading.services.parity.parity_check", missing)
    with pytest.raises(CommandError, match=r"stored decisions cannot be read .* run manage.py migrate first"):
        call_command("verify_strategy", "--symbol", "TESTUSDT", stdout=StringIO())


def test_a_replay_that_decides_otherwise_is_noticed(decided: Bars, monkeypatch: pytest.MonkeyPatch) -> None:
    """A planted mistake in the one-pass indicators: live's own path does not see it, the replay's does."""

    def late(data: MarketData, config: StrategyConfig) -> IndicatorSeries:
        series = indicator_series(data, config)
        return replace(series, vwap=np.roll(series.vwap, 1))

    monkeypatch.setattr(parity_replay, "indicator_series", late)
    found = parity_check(fees=FeeRates())
    assert found.mismatches == ()
    assert len(found.replay.mismatches) == DECIDED
    assert "vwap" in found.replay.mismatches[0].what


def test_a_bar_decided_without_a_book_is_compared_in_what_the_bars_tell(decided: Bars) -> None:
    made = decided
    bar = Kline("TESTUSDT", 5, int(made.start_ms[-1]) + BAR_5M_MS, 1000.0, 1001.0, 999.0, 1000.5, 10.0, 1.0, True)
    bar_store(bar=bar, features=None, now_ms=bar.end_ms + 100)
    bar_decide(
        version=StrategyVersion.objects.get(),
        bar=bar,
        features=None,
        decided_ms=bar.end_ms + 60_000,
        next_funding_ms=bar.end_ms + 4 * 3_600_000,
        fees=FeeRates(),
        r_usd=Decimal(100),
        now=NOW,
    )
    found = parity_check(fees=FeeRates())
    assert (found.decisions, found.mismatches, found.replay.mismatches) == (DECIDED + 1, (), ())


def test_decisions_that_come_meanwhile_wait_for_the_next_time(decided: Bars, monkeypatch: pytest.MonkeyPatch) -> None:
    newest = Decision.objects.latest("id")

    def then_another(rows: QuerySet[Decision], *, fees: FeeRates) -> Replay:
        Decision.objects.create(
            strategy=newest.strategy, symbol="TESTUSDT", bar_start=newest.bar_start + timedelta(minutes=5),
            decided_at=NOW, status="no_signal",
        )  # fmt: skip
        return replay_check(rows, fees=fees)

    monkeypatch.setattr("trading.services.parity.replay_check", then_another)
    found = parity_check(fees=FeeRates())
    assert (found.decisions, found.replay.compared, found.is_clean) == (DECIDED, DECIDED, True)


def test_bars_that_were_filled_in_later_are_not_looked_at() -> None:
    """Decided when 200 bars were stored; a day later backfill adds the 200 before them: the decision stands."""
    made = bars(402, seed=3)
    end_ms = int(made.start_ms[-1]) + BAR_5M_MS
    instruments_store(listed=[filters()], wanted=["TESTUSDT"], now_ms=end_ms)
    quarters = aggregate(made, BAR_5M_MS, BAR_15M_MS)
    klines_bulk_store(table(made.part(201, 401), 5), source=KlineSource.REST, now_ms=end_ms)
    klines_bulk_store(table(quarters.part(67, 134), 15), source=KlineSource.REST, now_ms=end_ms)
    values = [getattr(made, name)[401].item() for name in ("open", "high", "low", "close", "volume")]
    bar = Kline("TESTUSDT", 5, int(made.start_ms[401]), *values, 1.0, True)
    bar_store(bar=bar, features=None, now_ms=bar.end_ms + 100)
    bar_decide(
        version=strategy_version_create(config=CONFIG, actor=None, now=NOW),
        bar=bar,
        features=None,
        decided_ms=bar.end_ms + 120,
        next_funding_ms=bar.end_ms + 4 * 3_600_000,
        fees=FeeRates(),
        r_usd=Decimal(100),
        now=NOW,
    )
    klines_bulk_store(table(made.part(0, 201), 5), source=KlineSource.REST, now_ms=end_ms)
    klines_bulk_store(table(quarters.part(0, 67), 15), source=KlineSource.REST, now_ms=end_ms)
    found = parity_check(fees=FeeRates())
    assert (found.decisions, found.mismatches) == (1, ())
    assert (found.replay.compared, found.replay.left_out, found.replay.mismatches) == (0, 1, ())


def _code(*args: str) -> str | int | None:
    """What the command ended with; None: refused."""
    symbol = () if "--symbol" in args else ("--symbol", "TESTUSDT")
    try:
        call_command("verify_strategy", *symbol, *args, stdout=StringIO())
    except SystemExit as ended:
        return ended.code
    except CommandError:
        return None
    return 0
