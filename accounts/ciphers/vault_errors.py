"""What Vault's client raises, as our own errors; none of them carries the request that was made."""

from collections.abc import Callable
from typing import Any

import requests
from hvac import exceptions

from accounts.ciphers.base import CipherDenied, CipherError, CipherMisconfigured, CipherUnavailable

_UNREACHABLE = (
    exceptions.VaultDown,
    exceptions.VaultNotInitialized,
    exceptions.InternalServerError,
    exceptions.BadGateway,
    exceptions.RateLimitExceeded,
    requests.exceptions.RequestException,
)


def translated(request: Callable[[], Any]) -> Any:
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
