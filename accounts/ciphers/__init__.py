"""Ciphers for exchange secrets and one-time-password secrets: one interface, chosen by the setting SECRETS_BACKEND."""

import threading
from enum import StrEnum
from functools import lru_cache

import structlog
from django.conf import settings

from accounts.ciphers.base import Cipher, CipherError, CipherMisconfigured

log = structlog.get_logger(__name__)


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


def keep_token() -> threading.Event | None:
    """For processes that live long: from now on this process's token is kept alive, also while nobody shows it.

    Setting the event ends it. None where there is no token to keep.
    """
    if settings.SECRETS_BACKEND != "vault":
        return None
    from accounts.ciphers.vault_token import VaultToken, client_from_settings, keep_renewed

    try:
        token = VaultToken(client_from_settings(), file=settings.VAULT_TOKEN_FILE)
    except CipherError as error:  # whoever needs a secret will say so; the others work without
        log.warning("vault_token_not_kept", code=error.code)
        return None
    over = threading.Event()
    threading.Thread(target=keep_renewed, args=(token, over.wait), name="vault-token", daemon=True).start()
    return over
