"""Vault Transit: keys never leave Vault, we only see ciphertext and, where the policy allows, plaintext.

Source: Vault HTTP API, "Transit secrets engine" and "Token auth method".
"""

import base64
import time
from collections.abc import Callable
from typing import Any

import hvac
from django.conf import settings

from accounts.ciphers.base import CipherDenied, CipherError
from accounts.ciphers.vault_errors import translated
from accounts.ciphers.vault_token import VaultToken, client_from_settings

_VERSION_KNOWN_FOR_S = 60.0


class VaultTransitCipher:
    """One key of the Transit engine."""

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
        self._monotonic_s = monotonic_s
        self.token = VaultToken(client, file=token_file, monotonic_s=monotonic_s)
        self._newest = 0
        self._newest_read_at_s = float("-inf")

    def __repr__(self) -> str:
        return f"VaultTransitCipher(key={self._key!r})"

    @classmethod
    def from_settings(cls, *, purpose: str) -> "VaultTransitCipher":
        key = settings.VAULT_TRANSIT_KEYS[purpose]
        return cls(
            client=client_from_settings(),
            key=key,
            mount=settings.VAULT_TRANSIT_MOUNT,
            token_file=settings.VAULT_TOKEN_FILE,
        )

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
        self.token.renew_if_due()
        try:
            return translated(request)
        except CipherDenied:
            if not self.token.take_new():
                raise
        return translated(request)


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
