"""Writes of the API: placing and closing with idempotency, the kill switch, limits and configuration."""

import threading
from typing import Any
from uuid import uuid4

import pytest
from django.core.cache import cache
from django.db import connections, transaction

from accounts.models import AuditEntry, IdempotentCall, TradingAccount
from risk.models import RiskLimitsVersion, TradingState
from risk.selectors.guards import effective_state
from tests.support.api_world import ApiWorld
from tests.support.locks import until_somebody_waits
from tests.support.users import api_client, code_for, make_user
from trading.models import Plan, StrategyVersion

pytestmark = pytest.mark.django_db


def post(client: Any, path: str, body: Any = None, *, key: str | None = "", code: str = "") -> Any:
    headers = {}
    if key is not None:
        headers["HTTP_IDEMPOTENCY_KEY"] = key or str(uuid4())
    if code:
        headers["HTTP_X_OTP_CODE"] = code
    return client.post(f"/api/v1/{path}", {} if body is None else body, format="json", **headers)


def test_placing_needs_a_key(world: ApiWorld) -> None:
    signal, trader = world.signal(), api_client(make_user("trader"))
    for key in (None, "short", "x" * 81, "has space in it"):
        answer = post(trader, f"signals/{signal.pk}/place", key=key)
        assert (answer.status_code, answer.json()["code"]) == (400, "idempotency_key_required")
    assert Plan.objects.count() == 0


def test_placing_and_its_replay(world: ApiWorld) -> None:
    signal, user = world.signal(), make_user("trader")
    trader = api_client(user)
    first = post(trader, f"signals/{signal.pk}/place", key="the-first-key")
    assert first.status_code == 201, first.content
    assert first.json()["placed"] is True
    assert first["Idempotent-Replayed"] == "false"
    again = post(trader, f"signals/{signal.pk}/place", key="the-first-key")
    assert (again.status_code, again.json()) == (201, first.json())
    assert again["Idempotent-Replayed"] == "true"
    plan = Plan.objects.get()
    assert plan.pk == first.json()["plan_id"]
    assert plan.placed_by == user
    other = post(trader, f"signals/{signal.pk}/place", key="another-key-1")
    assert (other.status_code, other.json()["code"]) == (409, "already_placed")
    assert AuditEntry.objects.filter(action="signal.placed", actor=user).count() == 1


def test_a_key_belongs_to_one_request_and_one_person(world: ApiWorld) -> None:
    one, two = world.signal("AAAUSDT"), world.signal("BBBUSDT")
    trader, other = api_client(make_user("trader")), api_client(make_user("trader"))
    assert post(trader, f"signals/{one.pk}/place", key="shared-key").status_code == 201
    reused = post(trader, f"signals/{two.pk}/place", key="shared-key")
    assert (reused.status_code, reused.json()["code"]) == (409, "idempotency_key_reused")
    different_body = post(trader, f"signals/{one.pk}/place", {"account": world.account.pk}, key="shared-key")
    assert different_body.json()["code"] == "idempotency_key_reused"
    assert post(other, f"signals/{two.pk}/place", key="shared-key").status_code == 201
    assert Plan.objects.count() == 2


def test_a_key_belongs_to_the_account_that_was_asked_for(world: ApiWorld) -> None:
    """HALT of one account under the key of another's would leave the second trading."""
    one = world.account
    two = TradingAccount.objects.create(label="second desk", environment="simulated", hedge_mode=True)
    trader = api_client(make_user("trader"))
    first = post(trader, f"admin/kill_switch?account={one.pk}", key="halt-it-now", body={"reason": "drill"})
    assert first.status_code == 200
    second = post(trader, f"admin/kill_switch?account={two.pk}", key="halt-it-now", body={"reason": "drill"})
    assert (second.status_code, second.json()["code"]) == (409, "idempotency_key_reused")
    assert (effective_state(one.pk), effective_state(two.pk)) == ("halted", "active")


def test_the_order_of_a_query_is_no_other_request(world: ApiWorld) -> None:
    trader, path = api_client(make_user("trader")), "admin/kill_switch"
    for query in (f"account={world.account.pk}&a=1&a=2", f"a=1&a=2&account={world.account.pk}"):
        answer = post(trader, f"{path}?{query}", key="halt-it-now", body={"reason": "drill"})
        assert answer.status_code == 200, answer.content
    assert answer["Idempotent-Replayed"] == "true"


def test_a_placement_that_was_refused_is_no_problem_body(world: ApiWorld) -> None:
    """409 has two bodies: the placement with its reason, and a problem about the request; the media type tells them."""
    signal, trader = world.signal(), api_client(make_user("trader"))
    assert post(trader, f"signals/{signal.pk}/place").status_code == 201
    for replayed in ("false", "true"):
        refused = post(trader, f"signals/{signal.pk}/place", key="too-late-key")
        assert (refused.status_code, refused["Content-Type"]) == (409, "application/json")
        assert (refused.json()["code"], refused["Idempotent-Replayed"]) == ("already_placed", replayed)
    reused = post(trader, f"signals/{signal.pk}/place", {"account": world.account.pk}, key="too-late-key")
    assert (reused.status_code, reused["Content-Type"]) == (409, "application/problem+json")


def test_a_refusal_is_an_answer_too_but_bad_input_after_it_is_not_remembered_as_success(world: ApiWorld) -> None:
    signal, trader = world.signal(), api_client(make_user("trader"))
    bad = post(trader, f"signals/{signal.pk}/place", {"account": "x"}, key="key-with-bad-body")
    assert bad.status_code == 400
    assert bad["Content-Type"] == "application/problem+json"
    replay = post(trader, f"signals/{signal.pk}/place", {"account": "x"}, key="key-with-bad-body")
    assert (replay.status_code, replay["Content-Type"]) == (400, "application/problem+json")
    assert replay["Idempotent-Replayed"] == "true"
    assert Plan.objects.count() == 0


def test_a_crash_leaves_the_key_free(world: ApiWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    from trading.api import signals

    signal, trader = world.signal(), api_client(make_user("trader"))
    trader.raise_request_exception = False
    genuine = signals.signal_place

    def placed_then_crashed(**arguments: Any) -> Any:
        genuine(**arguments)
        raise RuntimeError("the machine went away before the commit")

    monkeypatch.setattr(signals, "signal_place", placed_then_crashed)
    assert post(trader, f"signals/{signal.pk}/place", key="crashing-key").status_code == 500
    assert Plan.objects.count() == IdempotentCall.objects.count() == 0
    monkeypatch.setattr(signals, "signal_place", genuine)
    assert post(trader, f"signals/{signal.pk}/place", key="crashing-key").status_code == 201
    assert Plan.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_ten_clients_with_one_key_get_one_answer() -> None:
    cache.clear()
    world = ApiWorld()
    signal, user = world.signal(), make_user("trader")
    start = threading.Barrier(10)
    answers: list[tuple[int, Any]] = []

    def click() -> None:
        try:
            client = api_client(user)
            start.wait(20)
            answer = post(client, f"signals/{signal.pk}/place", key="one-key-for-all")
            answers.append((answer.status_code, answer.json()))
        finally:
            connections.close_all()

    threads = [threading.Thread(target=click) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(answers) == 10
    assert {status for status, _ in answers} == {201}
    assert all(body == answers[0][1] for _, body in answers)
    assert Plan.objects.count() == 1


def test_closing_a_plan_and_its_position(world: ApiWorld) -> None:
    trader = api_client(make_user("trader"))
    plan_id = post(trader, f"signals/{world.signal().pk}/place").json()["plan_id"]
    position = world.holding(Plan.objects.get(pk=plan_id))
    refused = post(trader, f"plans/{plan_id}/break-even")
    assert (refused.status_code, refused.json()["code"]) == (409, "nothing_held")
    waiting = post(trader, f"signals/{world.signal('BBBUSDT').pk}/place").json()["plan_id"]
    assert post(trader, f"plans/{waiting}/cancel-entries").json()["entries_cancelled"] is True
    closed = post(trader, f"positions/{position.pk}/close", {"reason": "enough"})
    assert closed.status_code == 200, closed.content
    assert closed.json()["id"] == plan_id
    assert AuditEntry.objects.filter(action="plan.close_asked", reason="enough").count() == 1
    Plan.objects.filter(pk=plan_id).update(status="closed")
    for path, code in ((f"plans/{plan_id}/close", "plan_over"), (f"positions/{position.pk}/close", "position_closed")):
        over = post(trader, path)
        assert (over.status_code, over.json()["code"]) == (409, code)
    assert post(trader, "plans/999999/close").status_code == 404
    assert post(trader, "positions/999999/close").status_code == 404


def test_halt_by_a_trader_rearm_by_an_admin(world: ApiWorld) -> None:
    trader, user = api_client(make_user("trader")), make_user("admin")
    admin = api_client(user)
    halted = post(trader, "admin/kill_switch", {"reason": "drill"}, key=None)
    assert halted.status_code == 200, halted.content
    assert halted.json()["state"] == "halted"
    assert halted.json()["change"]["source"] == "api"
    again = post(trader, "admin/kill_switch", {"reason": "drill"}, key=None)
    assert (again.json()["changed"], again.json()["change"]) == (False, None)
    for path in ("admin/flatten", "admin/rearm"):
        assert post(trader, path, {"reason": "x"}).status_code == 403
        stale = post(admin, path, {"reason": "x"})
        assert (stale.status_code, stale.json()["code"]) == (403, "fresh_code_required")
    assert effective_state(world.account.pk).value == "halted"
    flat = post(admin, "admin/flatten", {"reason": "drill"}, code=code_for(user))
    assert (flat.status_code, flat.json()["change"]["flatten"]) == (200, True)
    back = post(admin, "admin/rearm", {"reason": "drill over"}, code=code_for(user))
    assert (back.status_code, back.json()["state"]) == (200, "active")
    assert back.json()["change"]["otp_used"] is True


def test_halt_of_one_symbol_and_bad_input(world: ApiWorld) -> None:
    trader = api_client(make_user("trader"))
    assert post(trader, "admin/kill_switch", {}, key=None).json()["errors"].keys() == {"reason"}
    bad = post(trader, "admin/kill_switch", {"reason": "x", "symbol": "aaa!"}, key=None)
    assert bad.json()["errors"].keys() == {"symbol"}
    assert TradingState.objects.count() == 0
    one = post(trader, "admin/kill_switch", {"reason": "x", "symbol": "AAAUSDT"}, key=None)
    assert one.json()["state"] == "halted"
    assert effective_state(world.account.pk).value == "active"


def test_limits_need_a_code_and_a_reason(world: ApiWorld) -> None:
    user = make_user("admin")
    admin = api_client(user)

    def patch(body: Any, code: str = "") -> Any:
        headers = {"HTTP_X_OTP_CODE": code} if code else {}
        return admin.patch("/api/v1/risk/limits", body, format="json", **headers)

    assert patch({"max_concurrent": 6, "reason": "x"}).json()["code"] == "fresh_code_required"
    assert patch({"max_concurrent": 6}, code_for(user)).json()["errors"].keys() == {"reason"}
    assert patch({"max_concurrent": -1, "reason": "x"}, code_for(user)).json()["errors"].keys() == {"max_concurrent"}
    assert RiskLimitsVersion.objects.count() == 0
    done = patch({"max_concurrent": 6, "max_leverage": "4.5", "reason": "more room"}, code_for(user))
    assert done.status_code == 200, done.content
    assert (done.json()["version"], done.json()["limits"]["max_concurrent"]) == (1, 6)
    assert float(done.json()["limits"]["max_leverage"]) == 4.5
    moved = patch({"max_concurrent": 7, "reason": "x", "expected_version": 0}, code_for(user))
    assert (moved.status_code, moved.json()["code"]) == (409, "limits_moved")


def test_config_change_is_a_new_version(world: ApiWorld) -> None:
    admin = api_client(make_user("admin"))
    trader = api_client(make_user("trader"))
    before = admin.get("/api/v1/config").json()
    name, value = next((k, v) for k, v in before["config"].items() if isinstance(v, int) and not isinstance(v, bool))
    body = {"changes": {name: value + 1}, "note": "try"}
    assert trader.patch("/api/v1/config", body, format="json").status_code == 403
    assert StrategyVersion.objects.count() == 1
    done = admin.patch("/api/v1/config", body, format="json")
    assert done.status_code == 200, done.content
    assert done.json()["config"][name] == value + 1
    assert done.json()["version"] == before["version"] + 1
    same = admin.patch("/api/v1/config", body, format="json")
    assert same.json()["version"] == done.json()["version"]
    unknown = admin.patch("/api/v1/config", {"changes": {"nonsense": 1}, "note": "x"}, format="json")
    assert 400 <= unknown.status_code < 500
    assert StrategyVersion.objects.count() == 2


def test_a_configuration_that_moved_is_not_written_over(world: ApiWorld) -> None:
    admin = api_client(make_user("admin"))
    read = admin.get("/api/v1/config").json()

    def change(theta: float, **more: int) -> Any:
        body = {"changes": {"theta": theta}, "note": "try", **more}
        return admin.patch("/api/v1/config", body, format="json")

    assert change(0.21, expected_version=read["version"]).status_code == 200
    moved = change(0.22, expected_version=read["version"])
    assert (moved.status_code, moved.json()["code"]) == (409, "config_moved")
    assert admin.get("/api/v1/config").json()["config"]["theta"] == 0.21
    assert change(0.22, expected_version=read["version"] + 1).json()["config"]["theta"] == 0.22


@pytest.mark.django_db(transaction=True)
def test_of_two_changes_at_the_same_moment_none_is_lost() -> None:
    cache.clear()
    ApiWorld()
    first, second = make_user("admin"), make_user("admin")
    answers: list[int] = []

    def second_writer() -> None:
        try:
            body = {"changes": {"atr_bars": 21}, "note": "second"}
            answers.append(api_client(second).patch("/api/v1/config", body, format="json").status_code)
        finally:
            connections.close_all()

    other = threading.Thread(target=second_writer)
    with transaction.atomic():
        body = {"changes": {"theta": 0.21}, "note": "first"}
        assert api_client(first).patch("/api/v1/config", body, format="json").status_code == 200
        other.start()
        until_somebody_waits()
    other.join(60)
    assert answers == [200]
    active = StrategyVersion.objects.get(is_active=True)
    assert (active.version, active.config["theta"], active.config["atr_bars"]) == (3, 0.21, 21)


def test_asking_for_a_reconciliation(world: ApiWorld) -> None:
    trader = api_client(make_user("trader"))
    answer = trader.post("/api/v1/reconciliation/run")
    assert (answer.status_code, answer.json()) == (202, {"asked": True, "last_run_id": world.run.pk})
    assert AuditEntry.objects.latest("pk").action == "reconciliation.asked"
    assert api_client(make_user("viewer")).post("/api/v1/reconciliation/run").status_code == 403
