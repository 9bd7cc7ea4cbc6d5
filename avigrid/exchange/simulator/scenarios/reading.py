"""Pieces of scenario files: mappings, lists, numbers, durations and moments, each mistake named with its place."""

import re
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import yaml

Row = dict[str, Any]
_DURATION = re.compile(r"^(\d+(?:\.\d+)?)(ms|s|m|h|d)?$")
_UNITS_MS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


class BadScenario(ValueError):
    """The file cannot be run; the message names file and place."""


def document_of(path: Path) -> object:
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadScenario(f"{path}: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise BadScenario(f"{path}: not YAML: {' '.join(str(error).split())}") from error


class Reader:
    def __init__(self, path: Path) -> None:
        self._path = path

    def bad(self, place: str, what: str) -> BadScenario:
        return BadScenario(f"{self._path}: {place}: {what}")

    def row(self, place: str, document: object, known: set[str] | None = None) -> Row:
        if document is None:
            document = {}
        if not isinstance(document, dict):
            raise self.bad(place, f"a mapping is wanted, got {document!r}")
        row = {str(key): value for key, value in document.items()}
        unknown = sorted(set(row) - known) if known is not None else []
        if unknown:
            raise self.bad(place, f"unknown {', '.join(unknown)}; known are {', '.join(sorted(known or ()))}")
        return row

    def rows(self, place: str, document: object) -> list[Any]:
        if not isinstance(document, list):
            raise self.bad(place, f"a list is wanted, got {document!r}")
        return document

    def duration(self, place: str, value: object) -> int:
        """Milliseconds of 90, "90s", "1.5m", "2h", "250ms"; a bare number is seconds."""
        match = _DURATION.match(str(value))
        if match is None or isinstance(value, bool):
            raise self.bad(place, f"{value!r} is no duration (90, 90s, 1.5m, 2h, 250ms)")
        return round(float(match.group(1)) * _UNITS_MS[match.group(2) or "s"])

    def number(self, place: str, value: object) -> Decimal:
        try:
            number = Decimal(str(value))
        except InvalidOperation:
            raise self.bad(place, f"{value!r} is no number") from None
        if not number.is_finite() or isinstance(value, bool):
            raise self.bad(place, f"{value!r} is no number")
        return number

    def moment(self, place: str, value: object) -> int:
        if isinstance(value, int) and not isinstance(value, bool):
            return value
        try:
            moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
        except ValueError:
            raise self.bad(place, f"{value!r} is no time") from None
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return round(moment.timestamp() * 1_000)
