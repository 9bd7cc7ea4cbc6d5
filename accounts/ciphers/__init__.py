"""Ciphers for exchange secrets and one-time-password secrets: one interface, chosen by the setting SECRETS_BACKEND."""

from enum import StrEnum
from functools import lru_cache

from django.conf import settings

from accounts.ciphers.base import Cipher, CipherMisconfigured


class Purpose(StrEnum):
    """Separate keys, so that the web process can check one-time passwords and still not open an exchange secret."""

    EXCHANGE = "exchange"
    OTP = "otp"
    NOTIFICATION = "notification"


@lru_cache(maxsize=4)
def get_cipher(purpose: Purpose) -> Cipher:
    """The process's cipher. Refuses at once where the configuration would be unsafe."""
    kind = settings.SECRETS_BACKEND
    if kind == "local":
        from accounts.ciphers.local import LocalCipher

        if not settings.LOCAL_CIPHER_ALLOWED:
            raise CipherMisconfigured(
                "the local cipher is for development and the demo only; use Vault", code="local_cipher_refused"
            )
        return LocalCipher(settings.LOCAL_CIPHER_KEY, purpose=purpose.value)
    if kind == "vault":
        from accounts.ciphers.vault import VaultTransitCipher

        return VaultTransitCipher.from_settings(purpose=purpose.value)
    raise CipherMisconfigured(f"SECRETS_BACKEND must be 'local' or 'vault', not {kind!r}")
