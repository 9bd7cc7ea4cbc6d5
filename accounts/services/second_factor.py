"""One-time passwords: setting up a device, checking codes, recovery codes."""

import secrets
from dataclasses import dataclass, field

from django.conf import settings
from django.db import transaction
from django.utils import timezone
from django.utils.crypto import salted_hmac

from accounts.ciphers import Purpose, get_cipher
from accounts.core import totp
from accounts.models import RecoveryCode, TotpDevice, User
from accounts.services.audit import audit
from avigrid.kernel.errors import Rejected

RECOVERY_CODES = 10
_RECOVERY_LENGTH = 11
_ALPHABET = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"


@dataclass(frozen=True, slots=True)
class DeviceSetUp:
    """Shown once, to its owner; never logged."""

    secret: str = field(repr=False)
    uri: str = field(repr=False)


def device_begin(*, user: User) -> DeviceSetUp:
    """A new, not yet confirmed device; replaces an earlier unconfirmed one. The confirmed one stays until then."""
    raw = secrets.token_bytes(totp.SECRET_BYTES)
    with transaction.atomic():
        TotpDevice.objects.filter(user=user, confirmed=False).delete()
        device = TotpDevice.objects.create(
            user=user, name="TOTP", confirmed=False, secret_ciphertext=get_cipher(Purpose.OTP).encrypt(raw)
        )
        audit(actor=user, action="device.begun", obj=device)
    return _set_up(user, raw)


def device_pending(*, user: User) -> DeviceSetUp | None:
    """The set-up in progress, so that a reload of the page shows the same code."""
    device = TotpDevice.objects.filter(user=user, confirmed=False).first()
    return None if device is None else _set_up(user, get_cipher(Purpose.OTP).decrypt(device.secret_ciphertext))


def device_confirm(*, user: User, code: str) -> tuple[TotpDevice, list[str]]:
    """Confirm the pending device with its first code; returns it and fresh recovery codes. Raises Rejected."""
    with transaction.atomic():
        User.objects.select_for_update().get(pk=user.pk)
        pending = TotpDevice.objects.filter(user=user, confirmed=False).first()
        if pending is None:
            raise Rejected("There is no device waiting to be confirmed.", code="no_pending_device")
        good = pending.verify_token(code)
        if good:
            TotpDevice.objects.filter(user=user, confirmed=True).delete()
            TotpDevice.objects.filter(pk=pending.pk).update(confirmed=True)
            codes = _new_recovery_codes(user)
            audit(actor=user, action="device.confirmed", obj=pending, otp_used=True)
    if not good:  # outside the block: the failure count must not be rolled back
        raise Rejected("This code is not right, or was used already.", code="wrong_code")
    pending.confirmed = True
    return pending, codes


def device_remove(*, user: User, actor: User | str, reason: str = "") -> int:
    """Remove all devices and recovery codes and end every session and token of `user`."""
    from accounts.services.sessions import sign_out_everywhere

    with transaction.atomic():
        removed, _ = TotpDevice.objects.filter(user=user).delete()
        RecoveryCode.objects.filter(user=user).delete()
        sign_out_everywhere(user=user)
        audit(actor=actor, action="device.removed", obj=user, before={"devices": removed}, reason=reason)
    return removed


def code_check(*, user: User, code: str) -> TotpDevice | None:
    """The confirmed device when `code` is its current code or an unused recovery code; None otherwise.

    A code works once. Failures slow the device down (1, 2, 4 ... s).
    """
    device = TotpDevice.objects.filter(user_id=user.pk, confirmed=True).first()
    if device is None:
        return None
    given = code.strip().upper()
    good = _recovery_code_use(user, device, given) if len(given) == _RECOVERY_LENGTH else device.verify_token(given)
    return device if good else None


def has_device(user: User) -> bool:
    return TotpDevice.objects.filter(user=user, confirmed=True).exists()


def device_for_demo(*, user: User) -> DeviceSetUp:
    """A confirmed device whose secret the caller prints; only the demo's users get one this way."""
    raw = secrets.token_bytes(totp.SECRET_BYTES)
    with transaction.atomic():
        TotpDevice.objects.filter(user=user).delete()
        device = TotpDevice.objects.create(
            user=user, name="demo", confirmed=True, secret_ciphertext=get_cipher(Purpose.OTP).encrypt(raw)
        )
        audit(actor="demo", action="device.confirmed", obj=device)
    return _set_up(user, raw)


def _set_up(user: User, raw: bytes) -> DeviceSetUp:
    return DeviceSetUp(
        secret=totp.secret_text(raw),
        uri=totp.provisioning_uri(secret=raw, account=user.email, issuer=settings.OTP_ISSUER),
    )


def _new_recovery_codes(user: User) -> list[str]:
    codes = [
        "-".join("".join(secrets.choice(_ALPHABET) for _ in range(5)) for _ in range(2)) for _ in range(RECOVERY_CODES)
    ]
    RecoveryCode.objects.filter(user=user).delete()
    RecoveryCode.objects.bulk_create(RecoveryCode(user=user, code_hash=_recovery_hash(user, code)) for code in codes)
    return codes


def _recovery_hash(user: User, code: str) -> str:
    """49 random bits each and a key outside the database: a fast keyed hash is enough, and can be looked up."""
    return salted_hmac("accounts.recovery_code", f"{user.pk}:{code}", algorithm="sha256").hexdigest()


def _recovery_code_use(user: User, device: TotpDevice, code: str) -> bool:
    if not device.verify_is_allowed()[0]:
        return False
    with transaction.atomic():
        unused = RecoveryCode.objects.filter(
            user_id=user.pk, code_hash=_recovery_hash(user, code), used_at__isnull=True
        )
        if unused.update(used_at=timezone.now()) != 1:
            device.throttle_increment()
            return False
        device.throttle_reset()
        audit(actor=user, action="recovery_code.used", obj=device)
    return True
