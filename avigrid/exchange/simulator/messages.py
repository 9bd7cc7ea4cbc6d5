"""What crosses the wire, without the wire: requests, replies, and the JSON text of both."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any
from urllib.parse import parse_qsl

import orjson

Row = dict[str, Any]
NO_HEADERS: Mapping[str, str] = {}


class Drop(Enum):
    """How an answer gets lost: not at all, the connection is closed, or it stays open and silent."""

    NO = "no"
    CLOSE = "close"
    HANG = "hang"


@dataclass(frozen=True, slots=True)
class Request:
    """`query` and `body` exactly as sent; header names in lower case."""

    method: str
    path: str
    query: str = ""
    body: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    remote: str = "local"


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    delay_s: float = 0.0
    drop: Drop = Drop.NO
    content_type: str = "application/json; charset=utf-8"

    def json(self) -> Row:
        """For tests and in-process clients."""
        parsed: Row = orjson.loads(self.body)
        return parsed


def encode(row: object) -> bytes:
    return orjson.dumps(row)


def text_of(row: object) -> str:
    return orjson.dumps(row).decode()


def envelope(code: int, message: str, result: object, extra: object, time_ms: int) -> Row:
    return {"retCode": code, "retMsg": message, "result": result, "retExtInfo": extra, "time": time_ms}


def parse_object(text: str) -> Row | None:
    """A JSON object, or None where it is anything else."""
    try:
        parsed = orjson.loads(text)
    except (orjson.JSONDecodeError, UnicodeEncodeError):
        return None
    return parsed if isinstance(parsed, dict) else None


def parse_query(query: str) -> dict[str, str] | None:
    """The last value of each name; None where there are absurdly many."""
    try:
        return dict(parse_qsl(query, keep_blank_values=True, max_num_fields=200, errors="replace"))
    except ValueError:
        return None
