"""Vault Transit: keys never leave Vault, we only see ciphertext and, where the policy allows, plaintext.

Source: Vault HTTP API, "Transit secrets engine" and "Token auth method".
"""

import base64
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hvac
import requests
import structlog
from django.conf import settings
from hvac import exceptions

from accounts.ciphers.base import CipherDenied, CipherError, CipherMisconfigured, CipherUnavailable

log = structlog.get_logger(__name__)
_UNREACHABLE = (
    exceptions.VaultDown,
    exceptions.VaultNotInitialized,
    exceptions.InternalServerError,
    exceptions.BadGateway,
    exceptions.RateLimitExceeded,
    requests.exceptions.RequestException,
)
_VERSION_KNOWN_FOR_S = 60.0


class VaultTransitCipher:
    """One key of the Transit engine. The token renews itself at half its life; a token file is read again when refused
    (Vault Agent replaces it)."""

    name = "vault"

    def __init__(
        self,
        *,
        client: hvac.Client,
        key: str,
        mount: str = "transit",
        token_file: str = "",
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._key = key
        self._mount = mount
        self._token_file = token_file
        self._monotonic_s = monotonic_s
        self._renew_at_s: float | None = None
        self._newest = 0
        self._newest_read_at_s = float("-inf")

    def __repr__(self) -> str:
        return f"VaultTransitCipher(key={self._key!r})"

    @classmethod
    def from_settings(cls, *, purpose: str) -> "VaultTransitCipher":
        token_file = settings.VAULT_TOKEN_FILE
        token = settings.VAULT_TOKEN or (_read_token(token_file) if token_file else "")
        if not settings.VAULT_ADDR or not token:
            raise CipherMisconfigured(
                "Vault is required here: set VAULT_ADDR and VAULT_TOKEN or VAULT_TOKEN_FILE",
                code="vault_not_configured",
            )
        client = hvac.Client(
            url=settings.VAULT_ADDR,
            token=token,
            verify=settings.VAULT_CACERT or True,
            timeout=settings.VAULT_TIMEOUT_S,
            namespace=settings.VAULT_NAMESPACE or None,
        )
        key = settings.VAULT_TRANSIT_KEYS[purpose]
        return cls(client=client, key=key, mount=settings.VAULT_TRANSIT_MOUNT, token_file=token_file)

    def encrypt(self, plaintext: bytes) -> str:
        text = base64.b64encode(plaintext).decode()
        answer = self._call(lambda: self._transit.encrypt_data(name=self._key, plaintext=text, mount_point=self._mount))
        return _field(answer, "ciphertext")

    def decrypt(self, ciphertext: str) -> bytes:
        _version(ciphertext)
        answer = self._call(
            lambda: self._transit.decrypt_data(name=self._key, ciphertext=ciphertext, mount_point=self._mount)
        )
        return base64.b64decode(_field(answer, "plaintext"))

    def rewrap(self, ciphertext: str) -> str:
        """Vault does it inside; no plaintext comes out."""
        if self.is_current(ciphertext):
            return ciphertext
        answer = self._call(
            lambda: self._transit.rewrap_data(name=self._key, ciphertext=ciphertext, mount_point=self._mount)
        )
        return _field(answer, "ciphertext")

    def is_current(self, ciphertext: str) -> bool:
        return _version(ciphertext) == self._newest_version()

    def _newest_version(self) -> int:
        now_s = self._monotonic_s()
        if now_s - self._newest_read_at_s > _VERSION_KNOWN_FOR_S:
            answer = self._call(lambda: self._transit.read_key(name=self._key, mount_point=self._mount))
            self._newest = int(_field(answer, "latest_version"))
            self._newest_read_at_s = now_s
        return self._newest

    @property
    def _transit(self) -> Any:
        return self._client.secrets.transit

    def _call(self, request: Callable[[], Any]) -> Any:
        self._renew_when_due()
        try:
            return _translated(request)
        except CipherDenied:
            if not self._take_new_token():
                raise
        return _translated(request)

    def _take_new_token(self) -> bool:
        token = _read_token(self._token_file) if self._token_file else ""
        if not token or token == self._client.token:
            return False
        self._client.token = token
        self._renew_at_s = None
        return True

    def _renew_when_due(self) -> None:
        """A failed renewal is logged and tried again with the next call; the call itself decides what is possible."""
        now_s = self._monotonic_s()
        if self._renew_at_s is not None and now_s < self._renew_at_s:
            return
        try:
            first = self._renew_at_s is None
            auth = self._client.auth.token
            data = _translated(auth.lookup_self)["data"] if first else _translated(auth.renew_self)["auth"]
        except CipherError as error:
            log.warning("vault_token_not_renewed", code=error.code)
            return
        life_s = float(data.get("ttl", data.get("lease_duration", 0)))
        self._renew_at_s = now_s + life_s / 2 if data.get("renewable") and life_s > 0 else float("inf")


def _translated(request: Callable[[], Any]) -> Any:
    # `from None` throughout: the library's errors carry the request they made.
    try:
        return request()
    except (exceptions.Forbidden, exceptions.Unauthorized):
        raise CipherDenied("Vault refuses this token or policy", code="vault_denied") from None
    except _UNREACHABLE as error:
        sealed = isinstance(error, exceptions.VaultDown)
        raise CipherUnavailable(
            "Vault is sealed" if sealed else "Vault does not answer",
            code="vault_sealed" if sealed else "vault_unreachable",
        ) from None
    except exceptions.InvalidPath:
        raise CipherMisconfigured("Vault has no such Transit key or mount", code="vault_key_missing") from None
    except exceptions.VaultError as error:
        raise CipherError(f"Vault refused the request: {type(error).__name__}", code="vault_refused") from None


def _field(answer: Any, name: str) -> str:
    try:
        return str(answer["data"][name])
    except (KeyError, TypeError):
        raise CipherError("Vault's answer is not of the expected form", code="vault_bad_answer") from None


def _version(ciphertext: str) -> int:
    """From "vault:v3:..."."""
    scheme, _, rest = ciphertext.partition(":")
    version, _, body = rest.partition(":")
    if scheme != "vault" or not version.startswith("v") or not version[1:].isdigit() or not body:
        raise CipherError("this is not a ciphertext of Vault", code="cipher_bad_format")
    return int(version[1:])


def _read_token(path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return ""
