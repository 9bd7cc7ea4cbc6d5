"""Every operation is shown by example, and every example is what its schema says."""

from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from avigrid.common.api_examples import examples

METHODS = ("get", "post", "put", "patch", "delete")
JSON = ("application/json", "application/problem+json")


@cache
def document() -> Any:
    from drf_spectacular.generators import SchemaGenerator

    return SchemaGenerator().get_schema(request=None, public=True)


def operations() -> Iterator[Any]:
    for item in document()["paths"].values():
        yield from (item[method] for method in METHODS if method in item)


def places(operation: Any) -> Iterator[tuple[str, Any]]:
    """(where, media type object) of every JSON body the operation takes or gives."""
    bodies = {"request": operation.get("requestBody", {}), **operation["responses"]}
    for where, body in bodies.items():
        for kind, media in body.get("content", {}).items():
            if kind in JSON:
                yield f"{operation['operationId']} {where}", media


def values(media: Any) -> list[Any]:
    return [example["value"] for example in media.get("examples", {}).values()]


def faults(schema: Any, value: Any) -> list[str]:
    """Components are reached from the schema itself; formats are checked as well."""
    whole = {**schema, "components": document()["components"]}
    checker = Draft202012Validator(whole, format_checker=Draft202012Validator.FORMAT_CHECKER)
    return [f"{fault.json_path}: {fault.message}" for fault in checker.iter_errors(value)]


def test_every_body_has_an_example() -> None:
    bare = [where for operation in operations() for where, media in places(operation) if not values(media)]
    assert bare == []


def test_every_example_fits_its_schema() -> None:
    wrong = [
        f"{where} {fault}"
        for operation in operations()
        for where, media in places(operation)
        for value in values(media)
        for fault in faults(media["schema"], value)
    ]
    assert wrong == []


def test_error_examples_carry_their_own_status() -> None:
    for operation in operations():
        for where, media in places(operation):
            if where.split()[-1][0] in "45":
                for value in values(media):
                    assert str(value.get("status", where.split()[-1])) == where.split()[-1]


def test_no_example_is_left_over() -> None:
    known = {operation["operationId"] for operation in operations()}
    assert set(examples()) - known == set()


@pytest.mark.parametrize(
    ("change", "expected"),
    [({"symbol": None}, "symbol"), ({"created_at": "yesterday"}, None), ({"direction": "long"}, "direction")],
)
def test_the_check_itself_notices(change: dict[str, Any], expected: str | None) -> None:
    schema = {"$ref": "#/components/schemas/Signal"}
    good = examples()["signals_read"]["response"]
    assert faults(schema, good) == []
    found = faults(schema, {**good, **change})
    assert (expected is None) or (found and expected in found[0])
    missing = {name: value for name, value in good.items() if name != "symbol"}
    assert faults(schema, missing)
