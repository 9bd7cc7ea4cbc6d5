"""Stages and calibrations over the API: read by everybody, moved by an admin with a fresh code."""

from typing import Any

import pytest
from django.utils import timezone

from tests.support.api_world import ApiWorld
from tests.support.users import api_client, code_for, make_user
from trading.avi5.config import StrategyConfig
from trading.models import ResearchRun, StageChange, StrategyVersion

pytestmark = pytest.mark.django_db


def _poster(role: str, *, coded: bool = True) -> Any:
    user = make_user(role)
    client = api_client(user)

    def post(path: str, body: dict[str, Any]) -> Any:
        headers = {"X-OTP-Code": code_for(user)} if coded else {}
        return client.post(path, body, format="json", headers=headers)

    return post


def _hours(theta: float) -> list[dict[str, Any]]:
    return [
        {
            "hour": hour,
            "theta": theta,
            "chosen": theta,
            "is_accepted": True,
            "is_dead": hour == 3,
            "pf_in": 1.5,
            "pf_out": None,
            "trades_in": 25,
            "trades_out": 0,
            "why": "accepted",
        }
        for hour in range(24)
    ]


def _calibration(theta: float = 0.4) -> ResearchRun:
    now = timezone.now()
    fold = {
        "train_from_ms": 0,
        "train_to_ms": 86_400_000,
        "test_to_ms": 172_800_000,
        "psi": 0.1,
        "thetas": [None, *[theta] * 23],
        "train_pf": [None] * 24,
        "train_trades": [25] * 24,
        "test_trades": [3] * 24,
    }
    config = StrategyConfig()
    hours = {str(hour): theta for hour in range(24)}
    result = {
        "hours": _hours(theta),
        "folds": [fold],
        "recent_psi": 0.05,
        "calibrated_config": {**config.to_mapping(), "theta_by_hour": hours, "dead_hours": [3]},
    }
    return ResearchRun.objects.create(
        kind="calibrate",
        params={"symbols": ["AAAUSDT"]},
        config=config.to_mapping(),
        config_hash=config.config_hash,
        data_hash="d",
        status="done",
        result=result,
        created_at=now,
        touched_at=now,
        ended_at=now,
    )


def test_everybody_reads_the_stage_and_what_is_missing(world: ApiWorld) -> None:
    viewer = api_client(make_user("viewer"))
    body = viewer.get(f"/api/v1/config/versions/{world.version.pk}/stage").json()
    assert (body["stage"], body["in_force"], body["is_ready"], body["override"]) == ("paper", "paper", False, None)
    names = ["real_market", "days", "trades", "win_rate", "profit_factor", "max_drawdown_r", "slippage_gap_bps"]
    assert [check["name"] for check in body["checks"]] == names
    assert viewer.get("/api/v1/config/versions/999999/stage").status_code == 404


def test_an_override_is_taken_shown_and_withdrawn(world: ApiWorld) -> None:
    path = f"/api/v1/config/versions/{world.version.pk}/stage"
    wish = {"stage": "live", "reason": "watched by two"}
    for role, fresh, code in (("trader", True, "permission_denied"), ("admin", False, "fresh_code_required")):
        refused = _poster(role, coded=fresh)(path, {**wish, "override": True})
        assert (refused.status_code, refused.json()["code"]) == (403, code)
    assert not StageChange.objects.exists()
    post = _poster("admin")
    refused = post(path, wish)
    assert (refused.status_code, refused.json()["code"]) == (409, "not_validated")
    bad = post(path, {"stage": "moon", "reason": "r"})
    assert (bad.status_code, list(bad.json()["errors"])) == (400, ["stage"])
    taken = post(path, {**wish, "override": True}).json()
    assert (taken["stage"], taken["in_force"]) == ("live", "live")
    assert (taken["override"]["reason"], len(taken["override"]["missing"])) == ("watched by two", 7)
    gone = post(f"{path}/withdraw", {"reason": "enough"}).json()
    assert (gone["stage"], gone["override"]) == ("paper", None)
    assert [(row["before"], row["after"]) for row in gone["changes"]] == [("live", "paper"), ("paper", "live")]
    again = post(f"{path}/withdraw", {"reason": "enough"})
    assert (again.status_code, again.json()["code"]) == (409, "no_override")


def test_a_calibration_is_activated_by_an_admin_with_a_code(world: ApiWorld) -> None:
    run = _calibration()
    path = f"/api/v1/calibrations/{run.pk}/activate"
    for role, fresh in (("trader", True), ("admin", False)):
        assert _poster(role, coded=fresh)(path, {"reason": "r"}).status_code == 403
    post = _poster("admin")
    missing = post(path, {})
    assert (missing.status_code, list(missing.json()["errors"])) == (400, ["reason"])
    assert StrategyVersion.objects.count() == 1
    made = post(path, {"reason": "steady"})
    assert made.status_code == 201, made.content
    body = made.json()
    assert (body["version"], body["is_active"], body["config"]["dead_hours"]) == (2, True, [3])
    assert body["config"]["theta_by_hour"]["13"] == 0.4
    again = post(path, {"reason": "steady"})
    assert (again.status_code, again.json()["code"]) == (409, "already_in_use")
    assert post("/api/v1/calibrations/999999/activate", {"reason": "r"}).status_code == 404


def test_results_are_read_and_compared(world: ApiWorld) -> None:
    viewer = api_client(make_user("viewer"))
    a, b = _calibration(), _calibration(0.5)
    heat = viewer.get(f"/api/v1/calibrations/{a.pk}/heat_map").json()
    assert [hour["cells"][0]["theta"] for hour in heat["hours"]] == [None, *[0.4] * 23]
    assert heat["hours"][3]["is_dead"]
    both = viewer.get(f"/api/v1/calibrations/{a.pk}/compare/{b.pk}").json()
    rows = {row["name"]: row for row in both["measures"]}
    assert rows["05h theta"] == {"name": "05h theta", "a": 0.4, "b": 0.5, "change": pytest.approx(0.1)}
    assert rows["05h pf_out"] == {"name": "05h pf_out", "a": None, "b": None, "change": None}
    assert both["same_data"]
    assert viewer.get(f"/api/v1/backtests/{a.pk}/compare/{b.pk}").status_code == 404
    assert viewer.get(f"/api/v1/backtests/{a.pk}/report").status_code == 404
    now = timezone.now()
    run = ResearchRun.objects.create(
        kind="backtest",
        params={},
        config={},
        config_hash="c",
        status="done",
        report_html="<!doctype html>",
        created_at=now,
        touched_at=now,
        ended_at=now,
    )
    assert viewer.get(f"/api/v1/backtests/{run.pk}/report").json() == {"id": run.pk, "html": "<!doctype html>"}
