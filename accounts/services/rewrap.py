"""After a key rotation in Vault: every stored secret under the newest key version."""

from collections.abc import Callable
from dataclasses import dataclass

from django.apps import apps
from django.db import models, transaction

from accounts.ciphers import Purpose, get_cipher
from accounts.ciphers.base import Cipher, CipherError, CipherUnavailable
from accounts.models import User
from accounts.services.audit import audit

# by label: apps above this one keep secrets too
_SECRETS = (
    (Purpose.EXCHANGE, "accounts.ApiKey", "ciphertext"),
    (Purpose.OTP, "accounts.TotpDevice", "secret_ciphertext"),
    (Purpose.NOTIFICATION, "trading.NotificationChannel", "ciphertext"),
)


@dataclass(frozen=True, slots=True)
class Rewrapped:
    changed: int
    current: int
    failed: tuple[str, ...]
    """"table:row code" of what could not be rewrapped; the old ciphertext is untouched."""


def secrets_rewrap(*, actor: User | str, progress: Callable[[int], None] = lambda done: None) -> Rewrapped:
    """May be run at any time and again; each row is swapped only if nobody changed it meanwhile.

    Raises CipherUnavailable where the cipher stops answering; rows done so far stay done.
    """
    changed, current, done, failed = 0, 0, 0, []
    for purpose, label, column in _SECRETS:
        table = apps.get_model(label)
        cipher = get_cipher(purpose)
        for row in table._default_manager.order_by("pk").only("pk", column).iterator():
            try:
                swapped = _rewrap_row(cipher, row, column)
            except CipherUnavailable:
                raise
            except CipherError as error:
                failed.append(f"{table._meta.label_lower}:{row.pk} {error.code}")
            else:
                changed, current = changed + swapped, current + (not swapped)
            done += 1
            progress(done)
    audit(
        actor=actor, action="secrets.rewrapped", after={"changed": changed, "current": current, "failed": len(failed)}
    )
    return Rewrapped(changed=changed, current=current, failed=tuple(failed))


def _rewrap_row(cipher: Cipher, row: models.Model, column: str) -> bool:
    old: str = getattr(row, column)
    new = cipher.rewrap(old)
    if new == old:
        return False
    with transaction.atomic():
        table = type(row)._default_manager
        return table.filter(pk=row.pk, **{column: old}).update(**{column: new}) == 1
