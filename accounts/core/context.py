"""From where the current request comes, for audit rows written deep below the door. Empty outside a request."""

from contextvars import ContextVar, Token
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Origin:
    ip: str | None = None
    user_agent: str = ""


_NOWHERE = Origin()
_origin: ContextVar[Origin | None] = ContextVar("avigrid_origin", default=None)


def current_origin() -> Origin:
    return _origin.get() or _NOWHERE


def inside_request() -> bool:
    return _origin.get() is not None


def set_origin(origin: Origin) -> Token[Origin | None]:
    return _origin.set(origin)


def reset_origin(token: Token[Origin | None]) -> None:
    _origin.reset(token)
