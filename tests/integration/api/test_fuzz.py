"""The API against its own description: made-up input, well-formed and not, aimed at rows that exist and at nothing.

No server error, no undocumented status or media type, no answer that breaks its own schema. And every operation that
can succeed did, so that the fuzz is known to have come past the first check.
"""

import os
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from itertools import count
from typing import Any

import pytest
import schemathesis
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections, transaction
from drf_spectacular.generators import SchemaGenerator
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from accounts.services.tokens import tokens_issue
from tests.support.fuzz_world import FuzzWorld, open_doors
from tests.support.users import make_user

pytestmark = [pytest.mark.django_db, pytest.mark.slow]
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
EXAMPLES = int(os.environ.get("AVIGRID_FUZZ_EXAMPLES", "6"))

CANNOT_SUCCEED = {
    "POST /api/v1/auth/login": "guesses a password",
    "POST /api/v1/auth/refresh": "guesses a token",
    "POST /api/v1/auth/logout": "guesses a token",
    "POST /api/v1/auth/2fa/confirm": "guesses a code",
    "POST /api/v1/auth/2fa/disable": "guesses a code",
    "POST /api/v1/auth/2fa/setup": "the caller has a device",
}
"""In this world; each has tests of its own that succeed."""


@cache
def api() -> Any:
    schema = schemathesis.openapi.from_dict(SchemaGenerator().get_schema(request=None, public=True))
    schema.app = get_wsgi_application()
    return schema


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch, settings: Any) -> Iterator[FuzzWorld]:
    for moment in (request_started, request_finished):  # as Django's own test client does: the test holds a transaction
        moment.disconnect(close_old_connections)
    open_doors(monkeypatch, settings)
    yield FuzzWorld()
    for moment in (request_started, request_finished):
        moment.connect(close_old_connections)


class Rows:
    """Path parameters: of what exists, and of what does not."""

    nowhere = tuple({"id": value, "other": value} for value in (0, -1, 2**63, "x", "%00"))

    def __init__(self, reader: Any) -> None:
        self._headers = headers_of(reader)
        self._ids: dict[str, list[int]] = {}

    def there(self, operation: Any) -> list[dict[str, int]]:
        """The list above `{id}` names them, newest first; one empty set where there is nothing to name."""
        collection, inside, rest = operation.path.partition("/{id}")
        if not inside:
            return [{}]
        if collection not in self._ids:
            listed = api()[collection]["GET"].Case().call(headers=self._headers).json()["results"]
            self._ids[collection] = [row["id"] for row in listed]
        ids = self._ids[collection]
        return [{"id": one, "other": ids[0]} if "{other}" in rest else {"id": one} for one in ids[:4]]


def headers_of(user: Any) -> dict[str, str]:
    token = tokens_issue(user=user, otp=True).access
    return {"Authorization": f"Bearer {token}", "X-OTP-Code": "123456", "Accept-Encoding": "identity"}


class Caller:
    """Somebody with a token; what they do is looked at, counted by operation, and undone."""

    def __init__(self, world: FuzzWorld, user: Any) -> None:
        self.world = world
        self.rows = Rows(world.admin)
        self.answers: dict[str, Counter[int]] = {}
        self._headers = headers_of(user)
        self._keys = count(1)

    def call(self, case: Any, *, is_aimed: bool = True) -> int:
        """`is_aimed`: at things that exist, under a key that was not used yet."""
        headers = dict(self._headers)
        if is_aimed:
            self._aim(case)
            if "Idempotency-Key" in case.operation.headers:
                headers["Idempotency-Key"] = f"fuzz-{next(self._keys):06d}"
        if case.operation.method == "get":
            response = case.call(headers=headers)
        else:
            with transaction.atomic():
                response = case.call(headers=headers)
                transaction.set_rollback(True)
        self.answers.setdefault(case.operation.label, Counter())[response.status_code] += 1
        case.validate_response(response, checks=CHECKS)
        return int(response.status_code)

    def _aim(self, case: Any) -> None:
        adds_key = case.operation.label == "POST /api/v1/api-keys"
        account = self.world.keyless if adds_key else self.world.account
        known: dict[str, object] = {"account": account.pk, "symbol": "AAAUSDT"}
        for place in (case.query, case.body):
            if isinstance(place, dict):
                place.update({name: value for name, value in known.items() if name in place})

    def as_shown(self, operation: Any) -> None:
        """The example of the description, sent to one row after the other until it is taken."""
        bodies = [example["value"] for body in operation.body for example in body.definition["examples"].values()]
        for row in self.rows.there(operation):
            case = operation.Case(path_parameters=dict(row), **({"body": bodies[0]} if bodies else {}))
            if 200 <= self.call(case) < 300:
                return

    def made_up(self, operation: Any, mode: GenerationMode, examples: int) -> None:
        there = self.rows.there(operation)
        rows = st.one_of(st.sampled_from(there), st.sampled_from(Rows.nowhere)) if there[0] else st.just({})
        cases = operation.as_strategy(mode, path_parameters=there[0] or None)

        @hypothesis_settings(
            max_examples=examples,
            deadline=None,
            derandomize=True,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=cases, row=rows, is_aimed=st.booleans())
        def one(case: Any, row: dict[str, Any], is_aimed: bool) -> None:
            case.path_parameters.update({name: row[name] for name in there[0]})
            self.call(case, is_aimed=is_aimed)

        one()

    def never_succeeded(self) -> str:
        return "\n".join(
            f"{label}: {dict(answers)}"
            for label, answers in self.answers.items()
            if not any(200 <= status < 300 for status in answers) and label not in CANNOT_SUCCEED
        )


def how_many(operation: Any) -> int:
    """As many as there is something to vary."""
    return min(EXAMPLES, 2 + 2 * len(list(operation.query)) + 6 * len(list(operation.body)))


def faults(run: Callable[[Any], None]) -> str:
    """Of every operation, by its name."""
    wrong = []
    for result in api().get_all_operations():
        operation = result.ok()
        try:
            run(operation)
        except Unsatisfiable:
            pass
        except (Exception, BaseExceptionGroup) as error:
            wrong.append(f"{operation.label}\n{type(error).__name__}: {error}"[:1500])
    return "\n\n".join(wrong)


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=lambda mode: mode.value)
def test_an_admin(world: FuzzWorld, mode: GenerationMode) -> None:
    caller = Caller(world, world.admin)

    def run(operation: Any) -> None:
        if operation.method != "get":
            world.stay_fresh()
        if mode is GenerationMode.POSITIVE:
            caller.as_shown(operation)
        caller.made_up(operation, mode, how_many(operation))

    assert faults(run) == ""
    if mode is GenerationMode.POSITIVE:
        assert len(caller.answers) > 80
        assert caller.never_succeeded() == ""


def test_a_viewer(world: FuzzWorld) -> None:
    """What is refused for the role is described as well."""
    caller = Caller(world, make_user("viewer"))
    assert faults(lambda operation: caller.made_up(operation, GenerationMode.POSITIVE, 1)) == ""
