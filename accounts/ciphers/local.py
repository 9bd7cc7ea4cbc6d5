"""AES-256-GCM under a key derived from the environment. Development and the demo only: the key lies beside the data."""

import base64
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from accounts.ciphers.base import CipherError, CipherMisconfigured

_NONCE_BYTES = 12
_MIN_KEY_CHARS = 32


class LocalCipher:
    """`keys`: random texts of at least 32 characters, comma separated, newest first; the last one is version 1."""

    name = "local"

    def __init__(self, keys: str, *, purpose: str) -> None:
        texts = [text.strip() for text in keys.split(",") if text.strip()]
        if not texts:
            raise CipherMisconfigured("AVIGRID_LOCAL_CIPHER_KEY is empty")
        if any(len(text) < _MIN_KEY_CHARS for text in texts):
            raise CipherMisconfigured(
                f"each AVIGRID_LOCAL_CIPHER_KEY needs at least {_MIN_KEY_CHARS} random characters"
            )
        self._by_version = {len(texts) - place: AESGCM(_derive(text, purpose)) for place, text in enumerate(texts)}
        self._newest = len(texts)

    def __repr__(self) -> str:
        return f"LocalCipher(version={self._newest})"

    def encrypt(self, plaintext: bytes) -> str:
        nonce = os.urandom(_NONCE_BYTES)
        sealed = self._by_version[self._newest].encrypt(nonce, plaintext, _aad(self._newest))
        return f"local:v{self._newest}:{base64.b64encode(nonce + sealed).decode()}"

    def decrypt(self, ciphertext: str) -> bytes:
        version, body = _parse(ciphertext)
        key = self._by_version.get(version)
        if key is None:
            raise CipherError(f"no local key of version {version}", code="cipher_key_missing", version=version)
        try:
            return key.decrypt(body[:_NONCE_BYTES], body[_NONCE_BYTES:], _aad(version))
        except (InvalidTag, ValueError):
            raise CipherError("the ciphertext does not belong to this key", code="cipher_wrong_key") from None

    def rewrap(self, ciphertext: str) -> str:
        return ciphertext if self.is_current(ciphertext) else self.encrypt(self.decrypt(ciphertext))

    def is_current(self, ciphertext: str) -> bool:
        return _parse(ciphertext)[0] == self._newest


def _derive(text: str, purpose: str) -> bytes:
    info = f"avigrid local cipher {purpose}".encode()
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=info).derive(text.encode())


def _aad(version: int) -> bytes:
    return f"local:v{version}".encode()


def _parse(ciphertext: str) -> tuple[int, bytes]:
    try:
        scheme, version, body = ciphertext.split(":")
        if scheme != "local" or not version.startswith("v"):
            raise ValueError(scheme)
        return int(version[1:]), base64.b64decode(body, validate=True)
    except ValueError:
        raise CipherError("this is not a ciphertext of the local cipher", code="cipher_bad_format") from None
