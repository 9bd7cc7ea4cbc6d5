"""The account's own fees: kept as the venue tells, counted with in decisions and sizes, looked at again when placed."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import numpy as np
import pytest

from accounts.models import AuditEntry, TradingAccount
from avigrid.exchange.kline_table import KlineTable
from avigrid.kernel.clock import FixedClock
from avigrid.kernel.errors import Rejected
from avigrid.kernel.instrument import FeeRates
from avigrid.kernel.market import BookFeatures, Kline
from marketdata.models import KlineSource
from marketdata.runtime.confirmed_bar import ConfirmedBar
from marketdata.services.bar_store import bar_store
from marketdata.services.instruments import instruments_store
from marketdata.services.klines import klines_bulk_store
from risk.core.limits import RiskLimits
from risk.services.limits import limits_update
from tests.support.api_world import ApiWorld, instrument_of
from tests.unit.trading.backtest.synthetic import bars, filters
from trading.avi5.config import StrategyConfig
from trading.avi5.spec import PlanSpec
from trading.avi5.window import BAR_5M_MS, BAR_15M_MS, Bars
from trading.backtest.data import aggregate
from trading.models import AccountFeeRates, Decision, Plan, Signal
from trading.runtime.decision_terms import SharedTerms
from trading.runtime.fee_watch import FeeWatch
from trading.runtime.market_loop import Decider
from trading.selectors.fee_rates import fee_rates_of
from trading.services.fee_rates import fee_rates_store
from trading.services.parity import parity_check
from trading.services.place_preview import place_preview
from trading.services.strategy_versions import strategy_version_create

pytestmark = pytest.mark.django_db
D = Decimal
NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)
DEAR = FeeRates(taker=D("0.001"), maker=D("0.0004"))
COUNT, DECIDED = 1200, 30


def test_what_the_venue_tells_is_kept_and_audited_where_it_changes() -> None:
    account = TradingAccount.objects.create(label="a", environment="demo")
    assert fee_rates_of(account.pk, "BTCUSDT").rates == FeeRates(D("0.00055"), D("0.0002"))
    assert fee_rates_of(account.pk, "BTCUSDT").note(NOW) == "fees assumed: the account's own are not known"
    later = NOW + timedelta(hours=1)
    stored = [
        fee_rates_store(account_id=account.pk, symbol="BTCUSDT", rates=rates, now=now)
        for rates, now in ((DEAR, NOW), (DEAR, later), (FeeRates(D("0.0003"), D("-0.0001")), later))
    ]
    assert stored == [True, False, True]
    known = fee_rates_of(account.pk, "BTCUSDT")
    assert (known.rates, known.read_at) == (FeeRates(D("0.0003"), D("-0.0001")), later)
    assert (known.note(later), known.note(NOW + timedelta(days=3))) == ("", "fees as told on 2026-01-05 13:00")
    told = AuditEntry.objects.filter(action="fees.changed").order_by("pk")
    assert [(row.before, row.after["taker"]) for row in told] == [
        (None, "0.001"),
        ({"taker": "0.001", "maker": "0.0004"}, "0.0003"),
    ]
    assert fee_rates_of(account.pk, "ETHUSDT").read_at is None


@pytest.mark.parametrize(("taker", "maker"), [("0.055", "0.02"), ("-0.001", "0.001"), ("0.0001", "-0.0002")])
def test_impossible_fees_are_refused(taker: str, maker: str) -> None:
    account = TradingAccount.objects.create(label="a", environment="demo")
    with pytest.raises(Rejected, match="cannot be right"):
        fee_rates_store(account_id=account.pk, symbol="BTCUSDT", rates=FeeRates(D(taker), D(maker)), now=NOW)
    assert not AccountFeeRates.objects.exists()


# -- decisions ---------------------------------------------------------------------------------------------------


@pytest.fixture
def market() -> Bars:
    """Bars that are stored up to the last thirty, and a strategy that finds signals in them."""
    made = bars(COUNT, seed=3)
    end_ms = int(made.start_ms[-1]) + BAR_5M_MS
    instruments_store(listed=[filters()], wanted=["TESTUSDT"], now_ms=end_ms)
    for part, interval_min in (
        (made.part(0, COUNT - DECIDED), 5),
        (aggregate(made, BAR_5M_MS, BAR_15M_MS), 15),
    ):
        columns = (part.open, part.high, part.low, part.close, part.volume, np.ones(len(part)))
        klines_bulk_store(
            KlineTable("TESTUSDT", interval_min, part.start_ms, *columns), source=KlineSource.REST, now_ms=end_ms
        )
    strategy_version_create(config=StrategyConfig(theta=0.1, max_cost_r=1.0), actor=None, now=NOW)
    return made


def decide_all(made: Bars) -> None:
    clock = FixedClock(int(made.start_ms[0]))
    decider = Decider(clock, 1.0)
    for i in range(COUNT - DECIDED, COUNT):
        values = [getattr(made, name)[i].item() for name in ("open", "high", "low", "close", "volume")]
        bar = Kline("TESTUSDT", 5, int(made.start_ms[i]), *values, 1.0, True)
        lean = 0.6 if bar.close > bar.open else -0.6
        book = BookFeatures("TESTUSDT", bar.end_ms + 40, bar.close, lean, bar.close + lean / 100, 1.0, 2_000_000.0)
        clock.advance(bar.end_ms + 100 - clock.now_ms())
        bar_store(bar=bar, features=book, now_ms=clock.now_ms())
        assert decider(ConfirmedBar(bar, book, None, False, "", 0, True, clock.now_ms())) is not None


def test_signals_are_sized_for_what_this_account_pays_and_replayed_with_it(market: Bars) -> None:
    account = TradingAccount.objects.create(label="a", environment="demo")
    fee_rates_store(account_id=account.pk, symbol="TESTUSDT", rates=DEAR, now=datetime.now(UTC))
    decide_all(market)
    assert {row.indicators["taker_fee"] for row in Decision.objects.all()} == {"0.001"}
    assert {row.reason for row in Decision.objects.all()} == {""}
    r_usd = RiskLimits().r_usd
    specs = [PlanSpec.from_json(signal.spec) for signal in Signal.objects.all()]
    assert len(specs) > 2
    for spec in specs:
        lost = sum(r.quantity * (abs(r.price - spec.stop) + D("0.002") * r.price) for r in spec.rungs)
        assert r_usd * D("0.9") < lost <= r_usd
    # the fees of that day stand in the record: neither today's nor assumed ones change the replay
    fee_rates_store(account_id=account.pk, symbol="TESTUSDT", rates=FeeRates(), now=datetime.now(UTC))
    found = parity_check(fees=FeeRates(taker=D("0.002")))
    assert (found.decisions, found.signals, found.mismatches) == (DECIDED, len(specs), ())


def test_where_nobody_told_the_fees_the_decision_says_so(market: Bars) -> None:
    TradingAccount.objects.create(label="a", environment="demo")
    decide_all(market)
    row = Decision.objects.latest("bar_start")
    assert (row.indicators["taker_fee"], row.indicators["maker_fee"]) == ("0.00055", "0.0002")
    assert row.reason == "fees assumed: the account's own are not known"


# -- the click ---------------------------------------------------------------------------------------------------


def test_a_signal_sized_for_lower_fees_is_not_placed() -> None:
    world = ApiWorld()
    signal = world.signal()
    spec = PlanSpec.from_json(signal.spec)
    fee_rates_store(account_id=world.account.pk, symbol=signal.symbol, rates=DEAR, now=NOW)
    lost = sum(r.quantity * (abs(r.price - spec.stop) + D("0.002") * r.price) for r in spec.rungs)
    sentence = (
        f"The account pays 0.1 % on {signal.symbol} and this signal was sized for 0.055 %: it would lose "
        f"{lost:.2f} USD, more than its 20.00 USD."
    )
    assert lost > 20
    answer = world.place(signal)
    assert (answer.placed, answer.code) == (False, "fees_changed")
    assert answer.sentence == sentence
    assert place_preview(signal_id=signal.pk, account_id=world.account.pk).blocked == answer.sentence
    assert not Plan.objects.exists()


def test_lower_fees_than_the_signals_are_no_reason_to_refuse() -> None:
    world = ApiWorld()
    cheap = FeeRates(D("0.0003"), D("0.0001"))
    fee_rates_store(account_id=world.account.pk, symbol="AAAUSDT", rates=cheap, now=NOW)
    assert world.place(world.signal()).placed


# -- asking ------------------------------------------------------------------------------------------------------


@dataclass
class Asked:
    """The part of the context that the watch looks at, and a venue with a fee for each symbol."""

    account_id: int
    at: datetime = NOW
    silent: bool = False
    calls: list[str] = field(default_factory=list)

    @property
    def gateway(self) -> "Asked":
        return self

    def now(self) -> datetime:
        return self.at

    def fee_rates(self, symbol: str) -> FeeRates:
        self.calls.append(symbol)
        if self.silent:
            raise Rejected("not now", code="rate_limited")
        return DEAR


def test_the_venue_is_asked_a_few_at_a_time_and_again_after_an_hour() -> None:
    account = TradingAccount.objects.create(label="a", environment="demo")
    names = ["AAAUSDT", "BBBUSDT", "CCCUSDT", "DDDUSDT", "EEEUSDT"]
    instruments_store(listed=[instrument_of(name) for name in names], wanted=names, now_ms=0)
    fee_rates_store(account_id=account.pk, symbol="EEEUSDT", rates=DEAR, now=NOW - timedelta(minutes=20))
    venue = Asked(account.pk)
    watch = FeeWatch(venue)  # type: ignore[arg-type]
    for expected in (names[:3], names[:4], names[:4]):
        watch.look()
        assert venue.calls == expected
    assert AccountFeeRates.objects.count() == 5
    venue.at, venue.silent = NOW + timedelta(minutes=40), True
    for _ in range(3):
        watch.look()  # no answer: no second symbol is tried, and this one not before five minutes are over
    assert venue.calls[4:] == ["EEEUSDT"]
    venue.at, venue.silent = NOW + timedelta(minutes=46), False
    watch.look()
    assert venue.calls[5:] == ["EEEUSDT"]
    assert fee_rates_of(account.pk, "EEEUSDT").read_at == venue.at


def test_what_decisions_rest_on_is_read_once_for_bars_that_close_together(
    market: Bars, django_assert_num_queries: Callable[[int], AbstractContextManager[object]]
) -> None:
    account = TradingAccount.objects.create(label="a", environment="demo")
    terms = SharedTerms()
    with django_assert_num_queries(4):  # version, account, limits, fees
        assert [terms.at(300_000).r_usd for _ in range(15)] == [RiskLimits().r_usd] * 15  # type: ignore[union-attr]
    changes = {"r_usd": D(37)}
    limits_update(account_id=account.pk, changes=changes, actor="test", reason="less", otp_used=True)
    assert terms.at(600_000).r_usd == 37  # type: ignore[union-attr]
