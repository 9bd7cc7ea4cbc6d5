"""The token we show to Vault, kept alive: renewed at half its life, read again where Vault Agent replaced it.

A process may hold a token for weeks and show it once: execution opens its key when it starts, the watchdog perhaps
never. `keep_renewed` therefore runs in a thread beside the work, which a Vault that hangs must not hold up.
"""

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hvac
import structlog
from django.conf import settings

from accounts.ciphers.base import CipherDenied, CipherError, CipherMisconfigured
from accounts.ciphers.vault_errors import translated

log = structlog.get_logger(__name__)

LOOK_EVERY_S = 60.0
"""However long a token lives: a machine that slept, or a clock that stood still, costs no more than this."""
AGAIN_S = 15.0
"""After a renewal that failed."""


class VaultToken:
    """Used by the thread that keeps it and by whoever encrypts; one of them renews."""

    def __init__(
        self, client: hvac.Client, *, file: str = "", monotonic_s: Callable[[], float] = time.monotonic
    ) -> None:
        self._client = client
        self._file = file
        self._monotonic_s = monotonic_s
        self._lock = threading.Lock()
        self._renew_at_s: float | None = None

    def renew_if_due(self) -> bool:
        """False where it was due and could not be renewed: that is logged; what is possible the next call will tell."""
        with self._lock:
            now_s = self._monotonic_s()
            if self._renew_at_s is not None and now_s < self._renew_at_s:
                return True
            try:
                data = self._ask()
            except CipherError as error:
                log.warning("vault_token_not_renewed", code=error.code)
                return False
            life_s = float(data.get("ttl", data.get("lease_duration", 0)))
            self._renew_at_s = now_s + life_s / 2 if data.get("renewable") and life_s > 0 else float("inf")
            return True

    def take_new(self) -> bool:
        """Whether the file holds another token than the one in use, which is then in use."""
        token = read_token(self._file) if self._file else ""
        if not token or token == self._client.token:
            return False
        self._client.token = token
        self._renew_at_s = None
        return True

    def next_look_s(self) -> float:
        """How long nothing has to be done."""
        due_s = 0.0 if self._renew_at_s is None else self._renew_at_s - self._monotonic_s()
        return min(max(due_s, AGAIN_S), LOOK_EVERY_S)

    def _ask(self) -> Any:
        try:
            return self._renewed()
        except CipherDenied:
            if not self.take_new():
                raise
        return self._renewed()

    def _renewed(self) -> Any:
        """The first time its life is only read: a token that cannot be renewed need not be asked to."""
        auth = self._client.auth.token
        if self._renew_at_s is None:
            return translated(auth.lookup_self)["data"]
        return translated(auth.renew_self)["auth"]


def keep_renewed(token: VaultToken, is_over: Callable[[float], bool]) -> None:
    """Until `is_over(seconds to wait)`."""
    token.renew_if_due()
    while not is_over(token.next_look_s()):
        token.renew_if_due()


def client_from_settings() -> hvac.Client:
    token = settings.VAULT_TOKEN or (read_token(settings.VAULT_TOKEN_FILE) if settings.VAULT_TOKEN_FILE else "")
    if not settings.VAULT_ADDR or not token:
        raise CipherMisconfigured(
            "Vault is required here: set VAULT_ADDR and VAULT_TOKEN or VAULT_TOKEN_FILE", code="vault_not_configured"
        )
    return hvac.Client(
        url=settings.VAULT_ADDR,
        token=token,
        verify=settings.VAULT_CACERT or True,
        timeout=settings.VAULT_TIMEOUT_S,
        namespace=settings.VAULT_NAMESPACE or None,
    )


def read_token(path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return ""
