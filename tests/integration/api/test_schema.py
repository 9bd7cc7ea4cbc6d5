"""The API's own description: complete, and valid OpenAPI 3.1. Whether it is true, test_fuzz.py tries out."""

import re
from functools import cache
from typing import Any

import pytest
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.validation import validate_schema

from tests.support.routes import all_routes

pytestmark = pytest.mark.django_db
METHODS = ("get", "post", "patch", "put", "delete")


@cache
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
