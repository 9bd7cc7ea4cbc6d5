"""Live signals modelled as a replay would have taken them; restarts, holes and second workers change nothing."""

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal

import numpy as np
import pytest
from django.db import DatabaseError, transaction

from avigrid.exchange.kline_table import KlineTable
from avigrid.kernel.instrument import FeeRates
from avigrid.kernel.market import BookFeatures, Kline
from marketdata.models import KlineSource
from marketdata.services.bar_store import bar_store
from marketdata.services.instruments import instruments_store
from marketdata.services.klines import klines_bulk_store
from risk.services.limits import limits_update
from tests.support.trading_rows import make_account
from tests.support.users import make_user
from tests.unit.trading.backtest.synthetic import bars, filters
from trading.avi5.config import StrategyConfig
from trading.avi5.window import BAR_5M_MS, BAR_15M_MS, Bars
from trading.backtest.data import aggregate
from trading.backtest.driver import run_backtest
from trading.backtest.result import BacktestSettings, SymbolResult
from trading.backtest.series import next_funding_ms
from trading.models import ModelledPlan, Signal, StrategyVersion
from trading.selectors.replay_data import stored_market_data
from trading.selectors.validation import days_decided, validation_report
from trading.services.decisions import bar_decide
from trading.services.strategy_versions import strategy_version_create
from trading.services.validation import _market_with, validation_update
from trading.tasks import update_validation

pytestmark = pytest.mark.django_db
HISTORY, LIVE = 700, 200
NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)
CONFIG = StrategyConfig(theta=0.1, max_cost_r=1.0, atr_mult_x=3.0, max_slippage_bps=60.0)


def _table(part: Bars, interval_min: int) -> KlineTable:
    columns = (part.open, part.high, part.low, part.close, part.volume, np.ones(len(part)))
    return KlineTable("TESTUSDT", interval_min, part.start_ms, *columns)


class Market:
    """`live()` stores one bar after the other with its book and decides on it, as the live worker does."""

    def __init__(self, config: StrategyConfig) -> None:
        self.bars = bars(HISTORY + LIVE, seed=11)
        self.wide = aggregate(self.bars, BAR_5M_MS, BAR_15M_MS)
        end_ms = int(self.bars.start_ms[-1]) + BAR_5M_MS
        instruments_store(listed=[filters()], wanted=["TESTUSDT"], now_ms=end_ms)
        klines_bulk_store(_table(self.bars.part(0, HISTORY), 5), source=KlineSource.REST, now_ms=end_ms)
        self._store_wide(int(self.bars.start_ms[HISTORY]))
        self.version = strategy_version_create(config=config, actor=None, now=NOW)

    def live(self, count: int = LIVE) -> Iterator[Kline]:
        for i in range(HISTORY, HISTORY + count):
            values = [getattr(self.bars, name)[i].item() for name in ("open", "high", "low", "close", "volume")]
            bar = Kline("TESTUSDT", 5, int(self.bars.start_ms[i]), *values, 1.0, True)
            lean = 0.6 if bar.close > bar.open else -0.6
            book = BookFeatures("TESTUSDT", bar.end_ms + 40, bar.close, lean, bar.close + lean / 100, 1.0, 2_000_000.0)
            bar_store(bar=bar, features=book, now_ms=bar.end_ms + 100)
            self._store_wide(bar.end_ms)
            bar_decide(
                version=self.version,
                bar=bar,
                features=book,
                decided_ms=bar.end_ms,
                next_funding_ms=next_funding_ms(bar.end_ms),
                fees=FeeRates(),
                r_usd=Decimal(100),
                now=NOW,
            )
            yield bar

    def _store_wide(self, end_ms: int) -> None:
        closed = int(np.searchsorted(self.wide.start_ms + BAR_15M_MS, end_ms, side="right"))
        klines_bulk_store(
            _table(self.wide.part(max(0, closed - 400), closed), 15), source=KlineSource.REST, now_ms=end_ms
        )

    def replay(self, settings: BacktestSettings | None = None) -> SymbolResult:
        data = stored_market_data("TESTUSDT", self.version_config)
        first_ms = int(self.bars.start_ms[HISTORY])
        return run_backtest(data, self.version_config, instrument=filters(), settings=settings, from_ms=first_ms)

    @property
    def version_config(self) -> StrategyConfig:
        return StrategyConfig.from_mapping(self.version.config)


def _rows() -> list[tuple[object, ...]]:
    fields = ("decided_at", "status", "reason", "closed_at", "last_bar", "entry_price", "net_usd", "r", "quantity")
    return list(ModelledPlan.objects.order_by("decided_at").values_list(*fields))


def _expected(result: SymbolResult) -> list[tuple[int, str, Decimal, float]]:
    return [
        (plan.decided_ms, plan.reason, plan.net_usd.quantize(Decimal("1e-12")), plan.r)
        for plan in result.plans
        if plan.reason != "end_of_data"
    ]


@pytest.mark.parametrize(("profile", "every"), [("swing", 1), ("grid", 11)])
def test_modelled_bar_by_bar_it_is_what_the_replay_finds_afterwards(profile: str, every: int) -> None:
    """Every bar, as beat does it: the bars that end a plan come one by one. Seldom: after an outage."""
    market = Market(CONFIG.replaced({"profile": profile, "rungs": 3, "time_exit_ms": 7_200_000}))
    for number, _ in enumerate(market.live()):
        if number % every == 0:
            validation_update()
    update_validation()
    result = market.replay()
    ended = ModelledPlan.objects.filter(status__in=("closed", "not_filled")).order_by("decided_at")
    found = [
        (round(row.decided_at.timestamp() * 1000), row.reason, row.net_usd.quantize(Decimal("1e-12")), row.r)
        for row in ended
    ]
    assert found == _expected(result)
    assert len(found) >= 3
    counted = {row.reason for row in ModelledPlan.objects.filter(status="skipped")}
    assert counted <= {"plan_open", "anti_churn"}
    assert ModelledPlan.objects.filter(reason="plan_open").count() == result.skipped.get("plan_open", 0)
    assert ModelledPlan.objects.count() + result.skipped.get("last_bar", 0) == Signal.objects.count()
    # once at the end, by a process that knows nothing of what was before: the same rows
    before = _rows()
    assert validation_update() == 0
    ModelledPlan.objects.all().delete()
    validation_update()
    assert _rows() == before


def test_the_pause_between_entries_is_the_accounts() -> None:
    market = Market(CONFIG.replaced({"time_exit_ms": 7_200_000}))
    limits_update(
        account_id=make_account().pk,
        changes={"anti_churn_s": 43_200},
        actor=make_user("admin"),
        reason="one entry a side in half a day",
        otp_used=True,
    )
    list(market.live())
    validation_update()
    paused = market.replay(BacktestSettings(anti_churn_ms=43_200_000)).skipped["anti_churn"]
    assert market.replay().skipped.get("anti_churn", 0) < paused
    assert ModelledPlan.objects.filter(status="skipped", reason="anti_churn").count() == paused


def test_what_has_ended_is_never_changed() -> None:
    market = Market(CONFIG)
    list(market.live(120))
    validation_update()
    ended = ModelledPlan.objects.filter(status="closed")
    assert ended.exists()
    with pytest.raises(DatabaseError, match="never changed"), transaction.atomic():
        ended.update(r=5.0)


def test_it_waits_at_a_hole_and_goes_on_when_it_is_filled() -> None:
    from marketdata.models import Kline as StoredKline

    market = Market(CONFIG)
    list(market.live(60))
    hole = StoredKline.objects.filter(interval_min=5).order_by("-start")[20:21].values_list("pk", "start")[0]
    row = StoredKline.objects.get(start=hole[1], interval_min=5)
    StoredKline.objects.filter(start=hole[1], interval_min=5).delete()
    validation_update()
    assert not ModelledPlan.objects.filter(status="closed", closed_at__gt=hole[1]).exists()
    row._state.adding = True
    row.save(force_insert=True)
    validation_update()
    assert _rows()
    whole = _rows()
    ModelledPlan.objects.all().delete()
    validation_update()
    assert _rows() == whole


def test_the_report_measures_against_every_threshold(settings) -> None:  # type: ignore[no-untyped-def]
    market = Market(CONFIG)
    list(market.live(144))
    validation_update()
    version = StrategyVersion.objects.get()
    assert days_decided(version) == 0.5
    report = validation_report(version)
    rs = list(ModelledPlan.objects.filter(status="closed").values_list("r", flat=True))
    values = {check.name: check.value for check in report.verdict.checks}
    assert values["days"] == 0.5
    assert values["win_rate"] == sum(r > 0 for r in rs) / len(rs)
    gaps = [
        abs(modelled - observed)
        for modelled, observed in ModelledPlan.objects.filter(status="closed").values_list(
            "modelled_slippage_bps", "observed_slippage_bps"
        )
    ]
    assert values["slippage_gap_bps"] == pytest.approx(float(np.median(gaps)))
    assert report.closed == len(rs)
    missed = ModelledPlan.objects.filter(status="not_filled").count()
    assert report.not_filled_percent == 100 * missed / (missed + len(rs))
    assert report.signals == Signal.objects.count()
    assert {check.name for check in report.verdict.missing} >= {"real_market", "days"}
    settings.AVIGRID = {**settings.AVIGRID, "MARKET_ENVIRONMENT": "mainnet"}
    # where it ran is kept with each of them: today's setting makes no real market of it
    assert set(ModelledPlan.objects.filter(status="closed").values_list("market", flat=True)) == {"simulated"}
    assert "real_market" in {check.name for check in validation_report(version).verdict.missing}
    ModelledPlan.objects.all().delete()
    validation_update()
    assert set(ModelledPlan.objects.filter(status="closed").values_list("market", flat=True)) == {"mainnet"}
    assert "real_market" not in {check.name for check in validation_report(version).verdict.missing}
    assert [_market_with(before) for before in ("", "mainnet", "demo", "simulated", "mixed")] == [
        "mainnet",
        "mainnet",
        "mainnet",
        "mixed",
        "mixed",
    ]


def test_the_book_says_what_an_entry_would_have_cost() -> None:
    market = Market(CONFIG)
    list(market.live(60))
    validation_update()
    row = ModelledPlan.objects.exclude(observed_slippage_bps=None).earliest("decided_at")
    close = float(row.signal.entry_price)
    size_usd = float(row.signal.spec["rungs"][0]["quantity"]) * close
    # half of 1 bp spread, and half of the way into a band of 10 bps that holds 1,000,000 USD a side
    assert row.observed_slippage_bps == pytest.approx(0.5 + 10 * size_usd / 1_000_000 / 2, abs=0.02)
    assert row.observed_from == "book"
