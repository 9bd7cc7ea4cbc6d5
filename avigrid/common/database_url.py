"""A database's address as one text, as the environment gives it."""

from urllib.parse import parse_qs, unquote, urlsplit


def database_entry(url: str) -> dict[str, object]:
    """Django's DATABASES entry of `postgresql://user:password@host:port/name?host=/socket/dir&sslmode=...`.

    `timescale://` chooses the engine that makes hypertables. Raises ValueError for another scheme.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("postgres", "postgresql", "timescale"):
        raise ValueError(f"must start with postgresql:// or timescale://, got {parts.scheme!r}")
    options = {key: values[-1] for key, values in parse_qs(parts.query).items()}
    timescale = parts.scheme == "timescale"
    return {
        "ENGINE": "timescale.db.backends.postgresql" if timescale else "django.db.backends.postgresql",
        "NAME": parts.path.lstrip("/"),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": options.pop("host", None) or parts.hostname or "",
        "PORT": str(parts.port or ""),
        "OPTIONS": options,
    }
