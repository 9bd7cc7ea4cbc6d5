"""The 15m trend that open plans are stepped with: the newest decision's, and unknown once that is old."""

from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from tests.support.api_world import ApiWorld
from tests.support.trading_rows import make_version
from trading.models import Decision, StrategyVersion
from trading.runtime.surroundings import Surroundings
from trading.services.times import from_ms

pytestmark = pytest.mark.django_db
MIN_MS = 60_000


def decided(version: StrategyVersion, symbol: str, closed_at_ms: int, trend: object) -> None:
    Decision.objects.create(
        strategy=version,
        symbol=symbol,
        bar_start=from_ms(closed_at_ms) - timedelta(minutes=5),
        decided_at=from_ms(closed_at_ms),
        status="no_signal",
        indicators={"trend": trend},
    )


def test_the_newest_decision_tells_until_it_is_two_bars_old() -> None:
    world = ApiWorld()
    for symbol in ("AAAUSDT", "BBBUSDT"):
        assert world.place(world.signal(symbol)).placed
    Decision.objects.update(bar_start=from_ms(0))  # the signals' own are long over
    at = world.now_ms
    decided(world.version, "AAAUSDT", at - 15 * MIN_MS, 1)
    decided(world.version, "AAAUSDT", at - 10 * MIN_MS, -1)
    decided(world.version, "BBBUSDT", at - 10 * MIN_MS - 1, -1)
    decided(world.version, "CCCUSDT", at, 1)  # no plan is open there
    clock = {"ms": at}
    context: Any = SimpleNamespace(account_id=world.account.pk, exchange_ms=lambda: clock["ms"])
    surroundings = Surroundings(context, SimpleNamespace())  # type: ignore[arg-type]
    assert surroundings.trends() == {"AAAUSDT": -1}
    decided(world.version, "BBBUSDT", at, 0)
    assert surroundings.trends() == {"AAAUSDT": -1, "BBBUSDT": 0}
    newer = make_version(from_ms(at))
    decided(newer, "AAAUSDT", at - 10 * MIN_MS, 1)  # the version was changed: the same bar, decided on again
    assert surroundings.trends()["AAAUSDT"] == 1
    clock["ms"] = at + 10 * MIN_MS + 1
    assert surroundings.trends() == {}
