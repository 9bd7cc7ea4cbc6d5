"""Values at the edge of what text, numbers and dates can be, in every parameter and every field of every operation.

What Python or PostgreSQL cannot hold must be refused by the door, naming the field; whoever sends it never sees a 500.
"""

import json
from base64 import b64encode
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest
from django.db import transaction
from drf_spectacular.generators import SchemaGenerator
from rest_framework.test import APIClient

from tests.support.fuzz_world import FuzzWorld, open_doors
from tests.support.users import api_client, make_user

pytestmark = pytest.mark.django_db
METHODS = ("get", "post", "put", "patch", "delete")
TEXTS = ("\x00", "000000001999999", "²", "9999-12-31T23:59:59-12:00")
CURSORS = tuple(
    b64encode(text.encode()).decode()
    for text in ("p=abc", "p=%00", "p=" + "9" * 30, "p=", "p=9999-12-31", "r=" + "9" * 30 + "&p=²")
)
NUMBERS = ("9" * 18, "9" * 30)
VALUES: tuple[Any, ...] = (10**300, "1e999", "²", {"²": [True]})
"""What the parser lets through; what no field could hold it refuses for all alike."""


SCHEMA: dict[str, Any] = {}


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    if not SCHEMA:
        SCHEMA.update(SchemaGenerator().get_schema(request=None, public=True))
    for path, methods in SCHEMA["paths"].items():
        for method in METHODS:
            if method in methods:
                yield method, path, methods[method]


def body_of(operation: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The example of the description, and every field there is."""
    for body in operation.get("requestBody", {}).get("content", {}).values():
        example = next(iter(body["examples"].values()))["value"]
        shape = SCHEMA["components"]["schemas"][body["schema"]["$ref"].rpartition("/")[2]]
        return example, list(shape["properties"])
    return {}, []


@pytest.fixture(autouse=True)
def _open_doors(monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    open_doors(monkeypatch, settings)


@pytest.fixture
def admin() -> APIClient:
    return api_client(make_user("admin"))


class Walk:
    def __init__(self) -> None:
        self.client: APIClient = api_client(FuzzWorld().admin)
        self.client.raise_request_exception = False
        self.faults: list[str] = []
        self.ids: dict[str, str] = {}
        self.calls = 0

    def row(self, path: str) -> str:
        """The path of something that exists, where the list above it names one."""
        collection, inside, _rest = path.partition("/{id}")
        if not inside:
            return path
        if collection not in self.ids:
            listed = self.client.get(collection).json()["results"]
            self.ids[collection] = str(listed[0]["id"]) if listed else "0"
        return path.replace("{id}", self.ids[collection]).replace("{other}", self.ids[collection])

    def ask(self, method: str, path: str, *, body: str | None = None, **extra: Any) -> int:
        self.calls += 1
        headers = {"HTTP_X_OTP_CODE": "123456", "HTTP_IDEMPOTENCY_KEY": f"nasty-{self.calls:06d}"}
        given = {} if body is None else {"data": body, "content_type": "application/json"}
        with transaction.atomic():
            answer = self.client.generic(method.upper(), path, **given, **headers, **extra)
            transaction.set_rollback(True)
        if answer.status_code >= 500:
            self.faults.append(f"{method.upper()} {path} {extra or ''} {(body or '')[:120]}: {answer.status_code}")
        return int(answer.status_code)


def test_every_parameter_of_every_path_and_query() -> None:
    walk = Walk()
    for method, path, operation in operations():
        parameters = operation.get("parameters", [])
        known = {"symbol": "AAAUSDT", "interval_min": "5"}
        needed = {one["name"]: known[one["name"]] for one in parameters if one["in"] == "query" and one.get("required")}
        if "{" in path:
            for number in NUMBERS:
                walk.ask(method, path.replace("{id}", number).replace("{other}", number), body="{}")
        for one in parameters:
            if one["in"] != "query":
                continue
            for value in CURSORS if one["name"] == "cursor" else TEXTS:
                walk.ask(method, path, QUERY_STRING=urlencode({**needed, one["name"]: value}))
    assert "\n".join(walk.faults) == ""
    assert walk.calls > 300


def test_every_field_of_every_body() -> None:
    walk = Walk()
    for method, path, operation in operations():
        example, names = body_of(operation)
        for name in names:
            for value in VALUES:
                walk.ask(method, walk.row(path), body=json.dumps({**example, name: value}))
    assert "\n".join(walk.faults) == ""


@pytest.mark.parametrize("kind", ["backtests", "sweeps", "calibrations"])
def test_every_wish_of_a_run(kind: str) -> None:
    walk = Walk()
    wish = {"symbols": ["AAAUSDT"], **({"axes": {"theta": [0.2, 0.3]}} if kind == "sweeps" else {})}
    days = ("train_days", "test_days", "step_days")
    names = ("symbols", "from", "to", "r_usd", "equity_usd", "taker_fee", "maker_fee", "language", "axes", *days)
    for name in names:
        for value in (*VALUES, ["²"], "0001-01-01", "9999-12-31T23:59:59-12:00"):
            walk.ask("post", f"/api/v1/{kind}", body=json.dumps({"params": {**wish, name: value}}))
    for axis in ({"version": ["x" * 99]}, {"dead_hours": [[1e300]]}, {"²": [1]}):
        walk.ask("post", f"/api/v1/{kind}", body=json.dumps({"params": {**wish, "axes": axis}}))
    assert "\n".join(walk.faults) == ""


def refused(client: APIClient, body: str | bytes, *, path: str = "/api/v1/backtests", **extra: Any) -> Any:
    headers = {"HTTP_X_OTP_CODE": "123456", "HTTP_IDEMPOTENCY_KEY": "nasty-value-1"}
    answer = client.generic("POST", path, data=body, content_type="application/json", **{**headers, **extra})
    assert answer.status_code == 400, answer.content
    return answer.json()


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (r'{"params": {"symbols": ["BTC\u0000"]}}', "params.symbols"),
        (r'{"params": {"\ud800": 1}}', "params"),
        (r'{"params": {"symbols": ["\udfff"]}}', "params.symbols"),
        ('{"params": {"r_usd": 1e999}}', "params.r_usd"),
        ('{"params": {"config": {"dead_hours": [-1e999]}}}', "params.config.dead_hours"),
        ('{"params": {"config": {"theta": 1' + "0" * 400 + "}}}", "params.config.theta"),
        ('{"params": ' + "[" * 40 + "]" * 40 + "}", "params"),
    ],
)
def test_what_no_field_can_hold_is_refused_by_name(admin: APIClient, body: str, field: str) -> None:
    assert list(refused(admin, body)["errors"]) == [field]


@pytest.mark.parametrize(
    "body", [r'{"\ud800": 1}', '{"params": NaN}', "[" * 100_000, "1" * 5_000, b'"\xff"', "{", r'"\u0000"']
)
def test_a_body_that_is_no_json_of_ours(admin: APIClient, body: str | bytes) -> None:
    assert refused(admin, body)["code"] == "parse_error"


@pytest.mark.parametrize(
    ("key", "code"),
    [
        ("\x00" * 9, "idempotency_key_required"),
        ("schlüssel-1", "idempotency_key_required"),
        ("9" * 81, "idempotency_key_required"),
    ],
)
def test_a_key_that_is_none(admin: APIClient, key: str, code: str) -> None:
    path = "/api/v1/signals/1/place"
    assert refused(admin, "{}", path=path, HTTP_IDEMPOTENCY_KEY=key)["code"] == code


def test_half_a_pair_by_way_of_the_charset(admin: APIClient) -> None:
    asked = {"content_type": "text/plain; charset=unicode_escape", "QUERY_STRING": "symbol=\\ud800"}
    answer = admin.generic("GET", "/api/v1/signals", **asked)
    assert (answer.status_code, list(answer.json()["errors"])) == (400, ["symbol"])
