"""Examples of the API's description: read from the `examples.json` beside each app's API, by operation.

`{"signals_place": {"request": {...}, "response": {...}, "409": {...}}}`, a refusal only where it is no problem body. A
test holds each against the schema of its own operation.
"""

import json
from pathlib import Path
from typing import Any

from django.apps import apps

NAME = "example"
_METHODS = ("get", "post", "put", "patch", "delete")


def attach(result: dict[str, Any], **_: object) -> dict[str, Any]:
    """drf-spectacular's postprocessing hook. What a view says itself is kept."""
    known = examples()
    for item in result["paths"].values():
        for method in _METHODS:
            operation = item.get(method)
            if operation and operation["operationId"] in known:
                _attach(operation, known[operation["operationId"]])
    return result


def examples() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for app in apps.get_app_configs():
        path = Path(app.path) / "api" / "examples.json"
        if path.is_file():
            found |= json.loads(path.read_text())
    return found


def _attach(operation: dict[str, Any], example: dict[str, Any]) -> None:
    if "request" in example and "requestBody" in operation:
        _put(operation["requestBody"], example["request"])
    for code, answer in operation["responses"].items():
        value = example.get("response") if code.startswith("2") else example.get(code)
        if value is not None:
            _put(answer, value)


def _put(place: dict[str, Any], value: Any) -> None:
    media = place.get("content", {}).get("application/json")
    if media is not None:
        media.setdefault("examples", {NAME: {"value": value}})
