"""Typed readers of the environment. A missing or malformed value stops the process with one sentence."""

import os

from django.core.exceptions import ImproperlyConfigured

from avigrid.common.database_url import database_entry


def text(name: str, default: str | None = None) -> str:
    value = os.environ.get(name, default)
    if value is None:
        raise ImproperlyConfigured(f"The environment variable {name} is required; .env.example explains it.")
    return value


def flag(name: str, default: bool = False) -> bool:
    raw = os.environ.get(name)
    if raw is None:
        return default
    if raw.lower() in ("1", "true", "yes", "on"):
        return True
    if raw.lower() in ("0", "false", "no", "off", ""):
        return False
    raise ImproperlyConfigured(f"{name} must be true or false, got {raw!r}.")


def number(name: str, default: float, *, minimum: float | None = None) -> float:
    raw = os.environ.get(name)
    if raw is None:
        return default
    try:
        value = float(raw)
    except ValueError as error:
        raise ImproperlyConfigured(f"{name} must be a number, got {raw!r}.") from error
    if minimum is not None and value < minimum:
        raise ImproperlyConfigured(f"{name} must be at least {minimum}, got {raw}.")
    return value


def integer(name: str, default: int, *, minimum: int | None = None) -> int:
    value = number(name, default, minimum=minimum)
    if value != int(value):
        raise ImproperlyConfigured(f"{name} must be a whole number, got {value}.")
    return int(value)


def words(name: str, default: str = "") -> list[str]:
    """A comma-separated list, blanks dropped."""
    return [word.strip() for word in os.environ.get(name, default).split(",") if word.strip()]


def database(name: str = "DATABASE_URL") -> dict[str, object]:
    """Django's DATABASES entry of a URL in the environment."""
    try:
        return database_entry(text(name))
    except ValueError as error:
        raise ImproperlyConfigured(f"{name} {error}.") from error
