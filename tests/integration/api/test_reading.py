"""Lists and single objects of the API: shapes, filters, cursors, query counts, bad input."""

import json
from datetime import timedelta
from typing import Any

import pytest
from django.core.cache import cache
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import TradingAccount
from accounts.services.api_keys import api_key_add
from risk.services.states import halt
from tests.support.api_world import ApiWorld, good_key
from tests.support.fuzz_world import FuzzWorld
from tests.support.users import api_client, make_user
from trading.models import PerformanceDay, Signal
from trading.services.placing import signal_place
from trading.services.times import from_ms

pytestmark = pytest.mark.django_db


@pytest.fixture
def viewer() -> Any:
    return api_client(make_user("viewer"))


def place(world: ApiWorld, signal: Signal) -> int:
    placement = signal_place(
        signal_id=signal.pk, account_id=world.account.pk, user=None, actor="test", now=from_ms(world.now_ms)
    )
    assert placement.placed, placement
    assert placement.plan_id is not None
    return placement.plan_id


def get(client: Any, path: str, status: int = 200) -> Any:
    answer = client.get(f"/api/v1/{path}")
    assert answer.status_code == status, answer.content
    return answer.json()


def test_signals(world: ApiWorld, viewer: Any) -> None:
    low = world.signal("AAAUSDT", 1, p_win=0.4)
    high = world.signal("BBBUSDT", -1, p_win=0.6)
    rows = get(viewer, "signals")["results"]
    assert [row["id"] for row in rows] == [high.pk, low.pk]
    assert isinstance(rows[0]["entry_price"], str)
    assert float(rows[1]["entry_price"]) == pytest.approx(100, rel=0.01)
    assert rows[0]["created_at"].endswith("Z")
    for query, expected in {
        "symbol=AAAUSDT": [low.pk],
        "side=short": [high.pk],
        "min_probability=0.5": [high.pk],
        "status=placed": [],
        "status=new": [high.pk, low.pk],
        "since=2999-01-01T00:00:00Z": [],
        "until=2999-01-01T00:00:00Z": [high.pk, low.pk],
    }.items():
        assert [row["id"] for row in get(viewer, f"signals?{query}")["results"]] == expected, query
    assert get(viewer, f"signals/{low.pk}")["symbol"] == "AAAUSDT"
    assert get(viewer, f"signals/{low.pk}/levels")["spec"] == json.loads(json.dumps(low.spec))
    assert get(viewer, f"signals/{low.pk}/decision")["status"] == "signal"
    assert get(viewer, f"decisions/{low.decision_id}")["symbol"] == "AAAUSDT"


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("signals?side=up", "side"),
        ("signals?status=unheard", "status"),
        ("signals?min_probability=2", "min_probability"),
        ("signals?min_probability=NaN", "min_probability"),
        ("signals?since=yesterday", "since"),
        ("signals?symbol=%00", "symbol"),
        ("klines", "symbol"),
        ("klines?symbol=AAAUSDT&interval_min=7", "interval_min"),
        ("plans?account=x", "account"),
        ("risk/limits?account=999999", "account"),
        ("risk/state?account=-1", "account"),
    ],
)
def test_bad_queries_name_the_field(world: ApiWorld, viewer: Any, path: str, field: str) -> None:
    assert field in get(viewer, path, 400)["errors"]


@pytest.mark.parametrize(
    "path", ["signals/0", "signals/99999999999999999999/levels", "plans/7", "orders/7", "signals?cursor=rubbish"]
)
def test_what_is_not_there(world: ApiWorld, viewer: Any, path: str) -> None:
    assert get(viewer, path, 404)["code"] == "not_found"


def test_plans_positions_orders_fills(world: ApiWorld, viewer: Any) -> None:
    plan_id = place(world, world.signal())
    position = world.holding(world.account.plans.get(pk=plan_id))
    plan = get(viewer, f"plans/{plan_id}")
    assert plan["status"] == "placing"
    assert isinstance(plan["r_usd"], str)
    assert [row["id"] for row in get(viewer, "plans?is_open=true")["results"]] == [plan_id]
    assert get(viewer, "plans?is_open=false")["results"] == []
    shown = get(viewer, f"positions/{position.pk}")
    assert shown["average_price"] == "100.01"
    assert float(shown["size"]) == 0.5
    assert len(get(viewer, "positions?is_open=true")["results"]) == 1
    orders = get(viewer, f"orders?plan={plan_id}")["results"]
    assert orders[0]["status"] == "intent"
    fills = get(viewer, f"fills?plan={plan_id}")["results"]
    assert fills[0]["fee_usd"].startswith("0.0275")
    assert get(viewer, "slippage")["results"][0]["slippage_bps"].startswith("1")


def test_klines_by_cursor_without_nan(world: ApiWorld, viewer: Any) -> None:
    world.bars(count=25, symbol="AAAUSDT")
    first = get(viewer, "klines?symbol=AAAUSDT&interval_min=5&page_size=20")
    assert len(first["results"]) == 20
    assert first["results"][0]["turnover"] == 125.0
    assert first["results"][1]["turnover"] is None
    second = viewer.get(first["next"]).json()
    starts = [row["start"] for row in first["results"] + second["results"]]
    assert len(starts) == 25
    assert starts == sorted(starts, reverse=True)
    since = starts[3]
    assert len(get(viewer, f"klines?symbol=AAAUSDT&interval_min=5&since={since}")["results"]) == 4
    assert get(viewer, "instruments?symbol=AAAUSDT")["results"][0]["tick_size"].startswith("0.01")


def test_risk(world: ApiWorld, viewer: Any) -> None:
    limits = get(viewer, "risk/limits")
    assert (limits["account"], limits["version"]) == (world.account.pk, 0)
    assert limits["limits"]["max_concurrent"] == 5
    assert isinstance(limits["limits"]["max_total_risk_r"], str)
    state = get(viewer, "risk/state")
    assert (state["state"], state["states"], state["locks"]) == ("active", [], [])
    place(world, world.signal())
    decision = get(viewer, "risk/decisions")["results"][0]
    assert decision["ruling"] == "allow"
    assert get(viewer, f"risk/decisions/{decision['id']}")["checks"]


def test_config_and_reconciliation(world: ApiWorld, viewer: Any) -> None:
    assert get(viewer, "config")["version"] == world.version.version
    assert get(viewer, "config/versions")["results"][0]["is_active"] is True
    world.finding()
    status = get(viewer, "admin/reconciliation/status")
    assert status["last_run"]["status"] == "good"
    assert [row["kind"] for row in status["open_findings"]] == ["position_differs"]
    assert len(get(viewer, "reconciliation/findings?is_open=true&severity=critical")["results"]) == 1
    assert get(viewer, "reconciliation/findings?severity=info")["results"] == []
    assert get(viewer, "reconciliation/runs?scope=start")["results"][0]["id"] == world.run.pk


PINNED = {
    "signals": 2,
    "decisions": 2,
    "plans": 2,
    "positions": 2,
    "orders": 2,
    "fills": 2,
    "slippage": 2,
    "klines?symbol=AAAUSDT&interval_min=5": 2,
    "instruments": 2,
    "risk/decisions": 2,
    "risk/limits": 3,
    "risk/state": 7,
    "reconciliation/findings": 2,
    "reconciliation/runs": 2,
    "config/versions": 2,
}


@pytest.mark.parametrize("path", PINNED)
def test_queries_do_not_grow_with_rows(world: ApiWorld, viewer: Any, path: str, django_assert_num_queries: Any) -> None:
    """One for the caller (login and role), one or few for the answer, however many rows there are."""
    for number in range(6):
        signal = world.signal("AAAUSDT" if number % 2 else "BBBUSDT", 1 if number < 3 else -1)
        if number < 2:
            world.holding(world.account.plans.get(pk=place(world, signal)))
        world.finding(f"subject {number}")
    cache.clear()
    with django_assert_num_queries(PINNED[path]):
        get(viewer, path)


PINNED_FOR_AN_ADMIN: dict[str, int] = {
    "accounts": 2,
    "admin/reconciliation/status": 5,
    "api-keys": 2,
    "audit": 2,
    "auto-modes": 3,
    "backtests": 2,
    "book-features?symbol=AAAUSDT&interval_min=5": 2,
    "calibrations": 2,
    "performance": 4,
    "risk/state-changes": 2,
    "sweeps": 2,
    "users": 3,
}


def test_queries_of_what_an_admin_reads_do_not_grow_either(settings: Any) -> None:
    """In a world with a few rows of each, and again with more."""
    settings.KEY_TRIAL_CALL = "tests.support.api_world.good_key"
    cache.clear()
    world = FuzzWorld()
    admin = api_client(world.admin)

    def counted() -> dict[str, int]:
        queries = {}
        for path in PINNED_FOR_AN_ADMIN:
            with CaptureQueriesContext(connection) as captured:
                get(admin, path)
            queries[path] = len(captured)
        return queries

    assert counted() == PINNED_FOR_AN_ADMIN
    today = timezone.now().date()
    for number in range(3):
        make_user("trader")
        world.finding(f"subject {number}")
        halt(account_id=world.account.pk, symbol=f"{'ABC'[number]}USDT", reason="drill", actor=world.admin)
        for kind in ("backtest", "sweep", "calibrate"):
            world.research(kind)
        PerformanceDay.objects.create(
            account=world.account, day=today - timedelta(days=number), plans=1, updated_at=timezone.now()
        )
        account = TradingAccount.objects.create(label=f"desk {number}", environment="simulated")
        secret = {"label": "own", "key_id": f"pinnedKey000{number}", "secret": "neverReal0001"}
        api_key_add(account=account, trial=good_key, actor=world.admin, otp_used=True, **secret)
    assert counted() == PINNED_FOR_AN_ADMIN
