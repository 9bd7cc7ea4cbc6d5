"""Research and performance over the API: started, followed, cancelled; bad requests name the field."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from tests.support.api_world import ApiWorld
from tests.support.users import api_client, make_user
from trading.models import PerformanceDay, ResearchRun

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("path", "extra"),
    [
        ("backtests", {}),
        ("sweeps", {"axes": {"atr_k": [1.0, 1.5]}}),
        ("calibrations", {}),
    ],
)
def test_start_follow_cancel(world: ApiWorld, path: str, extra: dict[str, Any]) -> None:
    trader, viewer = api_client(make_user("trader")), api_client(make_user("viewer"))
    body = {"params": {"symbols": ["AAAUSDT"], **_axes(extra)}}
    assert viewer.post(f"/api/v1/{path}", body, format="json").status_code == 403
    assert ResearchRun.objects.count() == 0
    started = trader.post(f"/api/v1/{path}", body, format="json")
    assert started.status_code == 202, started.content
    run = started.json()
    assert (run["status"], run["result"]) == ("queued", None)
    assert viewer.get(f"/api/v1/{path}/{run['id']}").json()["config"]
    listed = viewer.get(f"/api/v1/{path}?status=queued").json()["results"]
    assert [row["id"] for row in listed] == [run["id"]]
    assert "result" not in listed[0]
    others = {"backtests", "sweeps", "calibrations"} - {path}
    for other in others:
        assert viewer.get(f"/api/v1/{other}/{run['id']}").status_code == 404
        assert trader.post(f"/api/v1/{other}/{run['id']}/cancel").status_code == 404
    assert viewer.post(f"/api/v1/{path}/{run['id']}/cancel").status_code == 403
    assert trader.post(f"/api/v1/{path}/{run['id']}/cancel").json() == {"cancelled": True}
    assert trader.post(f"/api/v1/{path}/{run['id']}/cancel").json() == {"cancelled": False}
    assert ResearchRun.objects.get().status == "cancelled"


def _axes(extra: dict[str, Any]) -> dict[str, Any]:
    """A sweep over any whole number of the strategy, whatever it is called today."""
    if "axes" not in extra:
        return {}
    from trading.avi5.config import StrategyConfig
    from trading.avi5.limits import LIMITS

    config = StrategyConfig().to_mapping()
    name = next(name for name in LIMITS if isinstance(config.get(name), int) and not isinstance(config[name], bool))
    return {"axes": {name: [config[name]]}}


@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({}, "symbols"),
        ({"symbols": []}, "symbols"),
        ({"symbols": ["AAAUSDT"], "nonsense": 1}, "nonsense"),
        ({"symbols": ["AAAUSDT"], "from": "yesterday"}, "from"),
        ({"symbols": ["AAAUSDT"], "config": {"nonsense": 1}}, "nonsense"),
    ],
)
def test_bad_requests_name_the_field(world: ApiWorld, params: dict[str, Any], field: str) -> None:
    trader = api_client(make_user("trader"))
    answer = trader.post("/api/v1/backtests", {"params": params}, format="json")
    assert answer.status_code == 400, answer.content
    assert list(answer.json()["errors"]) == [field]
    assert ResearchRun.objects.count() == 0


def test_performance(world: ApiWorld) -> None:
    viewer = api_client(make_user("viewer"))
    empty = viewer.get("/api/v1/performance").json()
    assert (empty["plans"], empty["win_rate"], empty["profit_factor"], empty["by_day"]) == (0, None, None, [])
    today = timezone.now().date()
    for days_ago, wins, won, lost in ((0, 2, 30, 10), (1, 1, 10, 10), (40, 1, 99, 0)):
        PerformanceDay.objects.create(
            account=world.account,
            day=today - timedelta(days=days_ago),
            plans=3,
            wins=wins,
            won_usd=won,
            lost_usd=lost,
            sum_r=1,
            updated_at=timezone.now(),
        )
    month = viewer.get("/api/v1/performance").json()
    assert (month["plans"], month["wins"], float(month["net_usd"]), float(month["profit_factor"])) == (6, 3, 20.0, 2.0)
    assert (float(month["win_rate"]), len(month["by_day"])) == (0.5, 2)
    assert isinstance(month["net_usd"], str)
    assert viewer.get("/api/v1/performance?days=60").json()["plans"] == 9
    for bad in ("0", "1001", "x", "-1", "9" * 30):
        refused = viewer.get(f"/api/v1/performance?days={bad}")
        assert (refused.status_code, list(refused.json()["errors"])) == (400, ["days"])
