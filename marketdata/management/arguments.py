"""What several commands read from their command lines. Every complaint is one sentence and exit code 2."""

import argparse
import glob
from datetime import UTC, datetime
from pathlib import Path

from django.core.management.base import CommandError, DjangoHelpFormatter

from marketdata.selectors.times import to_ms

INTERVALS_MIN = (1, 5, 15)


class ExamplesFormatter(argparse.RawDescriptionHelpFormatter, DjangoHelpFormatter):
    """Leaves the examples under the options as they were written."""


def refuse(sentence: str) -> CommandError:
    return CommandError(sentence, returncode=2)


def moment_ms(text: str, option: str) -> int:
    """`2025-09-24`, `2025-09-24T12:00`, with or without a zone (UTC)."""
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise refuse(f"{option} must be a date or time like 2025-09-24 or 2025-09-24T12:00, got {text!r}.") from None
    return to_ms(moment if moment.tzinfo else moment.replace(tzinfo=UTC))


def intervals(text: str) -> tuple[int, ...]:
    try:
        found = tuple(dict.fromkeys(int(part) for part in text.split(",") if part.strip()))
    except ValueError:
        found = ()
    if not found or any(minutes not in INTERVALS_MIN for minutes in found):
        raise refuse(f"--intervals must be some of {', '.join(map(str, INTERVALS_MIN))} (minutes), got {text!r}.")
    return found


def symbols(text: str) -> tuple[str, ...]:
    found = tuple(dict.fromkeys(part.strip().upper() for part in text.split(",") if part.strip()))
    bad = [symbol for symbol in found if not symbol.isalnum() or not symbol.isascii() or len(symbol) > 32]
    if bad:
        raise refuse(f"{bad[0]!r} is not a symbol; give names like BTCUSDT,ETHUSDT.")
    return found


def files(given: list[str]) -> list[Path]:
    """Files, folders (everything directly inside) and patterns, in order, each once."""
    found: dict[Path, None] = {}
    for text in given:
        path = Path(text)
        if path.is_dir():
            matches = sorted(child for child in path.iterdir() if child.is_file())
        elif path.exists():
            matches = [path]
        else:
            matches = [Path(name) for name in sorted(glob.glob(text))]
        if not matches:
            raise refuse(f"There is no file {text}.")
        found.update(dict.fromkeys(matches))
    return list(found)


def utc_text(ms: int) -> str:
    return f"{datetime.fromtimestamp(ms / 1000, UTC):%Y-%m-%d %H:%M}"
