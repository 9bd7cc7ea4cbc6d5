"""A stored bar is decided on once, with exactly the bars that are stored before it."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import numpy as np
import pytest

from avigrid.kernel.errors import InvalidCandle
from avigrid.kernel.instrument import FeeRates
from avigrid.kernel.market import Kline
from marketdata.models import KlineSource
from marketdata.selectors.bars import newest_table
from marketdata.services.instruments import instruments_store
from marketdata.services.klines import klines_bulk_store
from tests.support.api_world import instrument_of
from tests.support.bars import T0, saw_table
from trading.avi5 import decide as avi5
from trading.avi5.config import StrategyConfig
from trading.models import Decision, StrategyVersion
from trading.services import decisions
from trading.services.decisions import Decided, bar_decide, market_window
from trading.services.strategy_versions import strategy_version_create

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)
MIN_MS = 60_000
FAR_MS = T0 + 10**12


@pytest.fixture
def version() -> StrategyVersion:
    klines_bulk_store(saw_table(30), source=KlineSource.REST, now_ms=FAR_MS)
    klines_bulk_store(saw_table(10, interval_min=15), source=KlineSource.REST, now_ms=FAR_MS)
    return strategy_version_create(config=StrategyConfig(), actor=None, now=NOW)


def decided(version: StrategyVersion, bar: Kline) -> Decided:
    return bar_decide(
        version=version,
        bar=bar,
        features=None,
        decided_ms=bar.end_ms + 100,
        next_funding_ms=None,
        fees=FeeRates(),
        r_usd=Decimal(100),
        now=NOW,
    )


def bar_at(index: int) -> Kline:
    return list(saw_table(index + 1).klines())[index]


def test_the_window_holds_the_newest_bars_to_the_bit_and_none_of_the_future(version: StrategyVersion) -> None:
    third = saw_table(1, symbol="ETHUSDT")
    klines_bulk_store(replace(third, close=third.close + 1 / 3 - 1), source=KlineSource.REST, now_ms=FAR_MS)
    assert newest_table("ETHUSDT", 5, FAR_MS, 10).close.tolist() == [100 + 1 / 3]
    window = market_window("BTCUSDT", T0 + 100 * MIN_MS, 7, 3)
    assert window.bars_5m.start_ms.tolist() == [T0 + minutes * MIN_MS for minutes in range(65, 100, 5)]
    assert window.bars_15m.start_ms.tolist() == [T0 + minutes * MIN_MS for minutes in (45, 60, 75)]
    # bar 19 of the saw: opens at 100 + 19 % 7, closes one higher, 1 + 19 % 5 were traded
    assert [float(getattr(window.bars_5m, name)[-1]) for name in ("open", "high", "low", "close", "volume")] == [
        105.0,
        106.5,
        104.75,
        106.0,
        5.0,
    ]
    assert len(market_window("NEWUSDT", FAR_MS, 7, 3).bars_5m) == 0


@pytest.mark.parametrize(("missing", "left"), [((), 30), ((12,), 17), ((3, 20), 9), ((28,), 1)])
def test_history_before_a_hole_does_not_count(missing: tuple[int, ...], left: int) -> None:
    table = saw_table(30)
    klines_bulk_store(table.take(~np.isin(np.arange(30), missing)), source=KlineSource.REST, now_ms=FAR_MS)
    window = market_window("BTCUSDT", T0 + 150 * MIN_MS, 100, 100)
    assert len(window.bars_5m) == left
    assert int(window.bars_5m.start_ms[-1]) == T0 + 145 * MIN_MS


def test_a_bar_is_decided_on_once(version: StrategyVersion) -> None:
    first, again = decided(version, bar_at(29)), decided(version, bar_at(29))
    assert (first.is_new, again.is_new, again.decision.pk) == (True, False, first.decision.pk)
    assert Decision.objects.count() == 1


def test_a_decision_without_a_signal_is_stored_in_one_statement(
    version: StrategyVersion, django_assert_num_queries: Callable[[int], AbstractContextManager[object]]
) -> None:
    with django_assert_num_queries(1):  # besides the window, which is asked for past the counter
        assert decided(version, bar_at(29)).signal is None
    row = Decision.objects.get()
    assert (row.status, row.direction, row.score, row.indicators["close"]) == ("warming_up", 0, None, 102.0)
    assert [rule["rule"] for rule in row.rules["long"]][:3] == ["fresh", "trend", "trigger"]


def test_of_two_processes_at_once_the_first_decision_stays(
    version: StrategyVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    decide, winners = avi5.decide, []

    def slow(*args: object, **kwargs: object) -> avi5.Decision:
        if not winners:
            winners.append(None)
            winners[0] = decided(version, bar_at(29))
        return decide(*args, **kwargs)

    monkeypatch.setattr(decisions.avi5, "decide", slow)
    second = decided(version, bar_at(29))
    assert (second.is_new, second.decision.pk) == (False, winners[0].decision.pk)
    assert winners[0].is_new
    assert Decision.objects.count() == 1


def test_a_bar_that_is_not_the_newest_stored_one_is_refused(version: StrategyVersion) -> None:
    with pytest.raises(InvalidCandle, match="not the newest stored"):
        decided(version, replace(bar_at(29), start_ms=T0 + 150 * MIN_MS))
    assert Decision.objects.count() == 0


def test_a_newer_signal_takes_the_older_offer_off_the_desk_and_says_so(
    version: StrategyVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    decide, told = avi5.decide, []

    def long_now(*args: object, **kwargs: object) -> avi5.Decision:
        outcome = decide(*args, **kwargs)
        seen = replace(outcome.indicators, atr=0.4)
        return replace(outcome, direction=1, status=avi5.DecisionStatus.SIGNAL, indicators=seen)

    monkeypatch.setattr(decisions.avi5, "decide", long_now)
    monkeypatch.setattr(
        decisions.push, "event", lambda kind, payload: told.append(payload) if kind == "signal" else None
    )
    instruments_store(listed=[instrument_of("BTCUSDT")], wanted=["BTCUSDT"], now_ms=0)
    older = decided(version, bar_at(29)).signal
    klines_bulk_store(saw_table(31), source=KlineSource.REST, now_ms=FAR_MS)
    newer = decided(version, bar_at(30)).signal
    assert older is not None
    assert newer is not None
    older.refresh_from_db()
    assert (older.status, older.reason, newer.status) == ("superseded", "a newer signal replaced it", "new")
    assert [(said["signal_id"], said["status"]) for said in told] == [
        (older.pk, "new"),
        (older.pk, "superseded"),
        (newer.pk, "new"),
    ]
