"""The API's own description: complete, valid OpenAPI 3.1, and true (fuzzed)."""

import os
import re
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from django.core.cache import cache
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections, transaction
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.validation import validate_schema
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as hypothesis_settings
from rest_framework.throttling import SimpleRateThrottle
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from accounts.permissions import api as api_door
from accounts.services.api_keys import api_key_add
from accounts.services.tokens import tokens_issue
from tests.support.api_world import ApiWorld, good_key
from tests.support.routes import all_routes
from tests.support.users import make_user

pytestmark = pytest.mark.django_db
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
EXAMPLES = int(os.environ.get("AVIGRID_FUZZ_EXAMPLES", "10"))
METHODS = ("get", "post", "patch", "put", "delete")


def described() -> Any:
    return SchemaGenerator().get_schema(request=None, public=True)


def operations(document: Any) -> dict[tuple[str, str], Any]:
    return {
        (method.upper(), path): operation
        for path, item in document["paths"].items()
        for method, operation in item.items()
        if method in METHODS
    }


def test_it_is_valid_openapi_3_1() -> None:
    document = described()
    assert document["openapi"].startswith("3.1")
    validate_schema(document)


def test_every_operation_is_described_and_nothing_else() -> None:
    routed = {
        (method, "/" + re.sub(r"<(?:\w+:)?(\w+)>", "{id}", route.template))
        for route in all_routes()
        if route.template.startswith("api/v1/")
        for method in route.actions() or ()
    }
    written = {(method, re.sub(r"\{\w+\}", "{id}", path)) for method, path in operations(described())}
    assert written == routed


PROMISED = """
    POST auth/login, POST auth/refresh, POST auth/logout,
    POST auth/2fa/setup, POST auth/2fa/confirm, POST auth/2fa/disable,
    GET users, POST users, PATCH users/{id}, GET api-keys, POST api-keys, DELETE api-keys/{id},
    GET signals, GET signals/{id}, GET signals/{id}/levels, GET signals/{id}/decision, POST signals/{id}/place,
    GET plans, GET plans/{id}, POST plans/{id}/close, GET positions, GET positions/{id}, POST positions/{id}/close,
    GET orders, GET fills, GET slippage, GET klines, GET book-features, GET decisions, GET config, PATCH config,
    GET risk/limits, PATCH risk/limits, GET risk/state, POST admin/kill_switch, GET admin/reconciliation/status,
    POST reconciliation/run, GET backtests, POST backtests, GET calibrations, POST calibrations,
    GET performance, GET audit
"""


def test_what_was_promised_is_there(client: Any) -> None:
    promised = {tuple(line.split()) for line in PROMISED.replace("\n", " ").split(",")}
    there = {(method, path.removeprefix("/api/v1/")) for method, path in operations(described())}
    assert sorted(promised - there) == []
    for path in ("/health", "/ready", "/metrics"):
        assert client.get(path).status_code in (200, 503), path


def test_every_operation_documents_its_refusals() -> None:
    wrong = []
    for (method, path), operation in operations(described()).items():
        answers = set(operation["responses"])
        wanted = {"406", "429"} | ({"401"} if path != "/api/v1/auth/login" else set())
        if operation.get("security") != [{}] and not path.startswith("/api/v1/auth/"):
            wanted |= {"403"}
        if method in ("POST", "PATCH") and "requestBody" in operation:
            wanted |= {"400", "415"}
        if "{" in path:
            wanted |= {"404"}
        if missing := wanted - answers:
            wrong.append(f"{method} {path}: {sorted(missing)}")
        for code, answer in operation["responses"].items():
            if code.startswith("4") and not any("json" in kind for kind in answer.get("content", {})):
                wrong.append(f"{method} {path}: {code} has no body")
    assert wrong == []


def test_money_is_text() -> None:
    schemas = described()["components"]["schemas"]
    for name, field in {
        ("Signal", "entry_price"),
        ("Plan", "realised_pnl_usd"),
        ("Order", "quantity"),
        ("Fill", "price"),
        ("Position", "size"),
    }:
        kind = schemas[name]["properties"][field]["type"]
        assert kind == "string" or "number" not in kind, (name, field)


def test_schema_and_browser_are_served(client: Any) -> None:
    assert client.get("/api/schema/", headers={"Accept": "application/json"}).json()["info"]["title"] == "AviGrid API"
    page = client.get("/api/docs/")
    assert page.status_code == 200
    assert not re.search(rb"<script(?![^>]*\bsrc=)[^>]*>\s*\S", page.content), "an inline script would be blocked"


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch, settings: Any) -> Iterator[ApiWorld]:
    """Throttles off, every code right: the fuzz is to reach what lies behind the doors."""
    for moment in (request_started, request_finished):  # as Django's own test client does: the test holds a transaction
        moment.disconnect(close_old_connections)
    cache.clear()
    rates: dict[str, str | None] = dict.fromkeys(SimpleRateThrottle.THROTTLE_RATES, None)
    monkeypatch.setattr(SimpleRateThrottle, "THROTTLE_RATES", rates)
    monkeypatch.setattr(api_door, "code_prove", lambda **asked: True)
    settings.KEY_TRIAL_CALL = "tests.support.api_world.good_key"
    world = ApiWorld()
    signal = world.signal()
    from trading.services.placing import signal_place
    from trading.services.times import from_ms

    placement = signal_place(
        signal_id=signal.pk, account_id=world.account.pk, user=None, actor="test", now=from_ms(world.now_ms)
    )
    world.holding(world.account.plans.get(pk=placement.plan_id))
    world.signal("BBBUSDT")
    world.finding()
    yield world
    for moment in (request_started, request_finished):
        moment.connect(close_old_connections)


@pytest.mark.slow
@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=lambda mode: mode.value)
@pytest.mark.parametrize("role", ["admin", "viewer"])
def test_fuzz(world: ApiWorld, role: str, mode: GenerationMode) -> None:
    """No server error, no undocumented status or content type, no answer that breaks its own schema."""
    user = make_user(role, with_device=True)
    token = tokens_issue(user=user, otp=True).access
    own = {"label": "own", "key_id": "fuzzedKey0001", "secret": "neverReal0001"}  # people see the keys they added
    api_key_add(account=world.account, trial=good_key, actor=user, otp_used=True, **own)
    schema = schemathesis.openapi.from_wsgi("/api/schema/?format=json", get_wsgi_application())
    headers = {"Authorization": f"Bearer {token}", "X-OTP-Code": "123456", "Accept-Encoding": "identity"}
    wrong: dict[str, str] = {}
    tried = 0
    for result in schema.get_all_operations():
        operation = result.ok()

        @hypothesis_settings(
            max_examples=EXAMPLES if role == "admin" else max(2, EXAMPLES // 5),
            deadline=None,
            derandomize=True,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy(generation_mode=mode))
        def fuzz(case: Any) -> None:
            nonlocal tried
            tried += 1
            with transaction.atomic():
                response = case.call(headers=headers)
                transaction.set_rollback(True)
            case.validate_response(response, checks=CHECKS)

        try:
            fuzz()
        except (Exception, BaseExceptionGroup) as error:
            if "Unsatisfiable" in type(error).__name__:
                continue
            wrong[operation.label] = f"{type(error).__name__}: {error}"[:1500]
    assert tried > 50
    assert not wrong, "\n\n".join(f"{label}\n{problem}" for label, problem in wrong.items())
