"""One-time passwords: setting up a device, checking codes, recovery codes."""

import secrets
from dataclasses import dataclass, field
from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.http import HttpRequest
from django.utils import timezone
from django.utils.crypto import salted_hmac

from accounts.ciphers import Purpose, get_cipher
from accounts.core import totp
from accounts.models import RecoveryCode, TotpDevice, User
from accounts.services.attempts import code_attempt
from accounts.services.audit import audit
from accounts.services.lockout import failure_count, is_locked_out
from accounts.services.sessions import sign_out_everywhere
from avigrid.kernel.errors import Rejected

RECOVERY_CODES = 10
PENDING_FOR = timedelta(minutes=15)
"""A device set up and never confirmed is forgotten: nobody should confirm what somebody else may have seen by then."""
_WRONG_CODE = "This code is not right, or was used already."
_RECOVERY_LENGTH = 11
_ALPHABET = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"


@dataclass(frozen=True, slots=True)
class DeviceSetUp:
    """Shown once, to its owner; never logged."""

    secret: str = field(repr=False)
    uri: str = field(repr=False)


def device_begin(*, user: User, present_code: str = "", request: HttpRequest | None = None) -> DeviceSetUp:
    """A new, not yet confirmed device; replaces an earlier unconfirmed one. The confirmed one stays until then.

    Whoever has a confirmed device must show a code of it, or a recovery code: an open session alone cannot replace it.
    Raises Rejected: `present_code_required`, `wrong_code`; TooManyAttempts.
    """
    raw = secrets.token_bytes(totp.SECRET_BYTES)
    # first: no recovery code is to be spent on a cipher that is away
    ciphertext = get_cipher(Purpose.OTP).encrypt(raw)
    replaces = has_device(user)
    if replaces:
        if not present_code.strip():
            raise Rejected("Replacing a device needs a code of the present one.", code="present_code_required")
        if code_prove(user=user, code=present_code, request=request, step="device.replace") is None:
            raise Rejected(_WRONG_CODE, code="wrong_code")
    with transaction.atomic():
        TotpDevice.objects.filter(user=user, confirmed=False).delete()
        device = TotpDevice.objects.create(user=user, name="TOTP", confirmed=False, secret_ciphertext=ciphertext)
        audit(actor=user, action="device.begun", obj=device, otp_used=replaces)
    return _set_up(user, raw)


def device_pending(*, user: User) -> DeviceSetUp | None:
    """The set-up in progress, so that a reload of the page shows the same code. Not for a device that replaces one:
    its secret is shown once, to whoever proved to hold the old one."""
    device = None if has_device(user) else _pending(user)
    return None if device is None else _set_up(user, get_cipher(Purpose.OTP).decrypt(device.secret_ciphertext))


def device_confirm(
    *, user: User, code: str, request: HttpRequest | None = None, keep_session_key: str = ""
) -> tuple[TotpDevice, list[str]]:
    """Confirm the pending device with its first code; returns it and fresh recovery codes.

    Where it replaces one, every session but `keep_session_key` and every token of that person ends: what the old
    device opened is not the new one's. Raises Rejected: `no_pending_device`, `wrong_code`; TooManyAttempts.
    """
    if request is not None:
        code_attempt()
    with transaction.atomic():
        User.objects.select_for_update().get(pk=user.pk)
        pending = _pending(user)
        if pending is None:
            raise Rejected("There is no device waiting to be confirmed.", code="no_pending_device")
        good = pending.verify_token(code)
        if good:
            replaced, _ = TotpDevice.objects.filter(user=user, confirmed=True).delete()
            TotpDevice.objects.filter(pk=pending.pk).update(confirmed=True)
            codes = _new_recovery_codes(user)
            if replaced:
                sign_out_everywhere(user=user, keep_session_key=keep_session_key)
            audit(actor=user, action="device.confirmed", obj=pending, after={"replaced": bool(replaced)}, otp_used=True)
    if not good:  # outside the block: the failure count must not be rolled back
        failure_count(request=request, user=user, action="code.refused", step="device.confirm")
        raise Rejected(_WRONG_CODE, code="wrong_code")
    pending.confirmed = True
    return pending, codes


def device_remove(*, user: User, actor: User | str, reason: str = "", otp_used: bool = False) -> int:
    """Remove all devices and recovery codes and end every session and token of `user`."""
    with transaction.atomic():
        removed, _ = TotpDevice.objects.filter(user=user).delete()
        RecoveryCode.objects.filter(user=user).delete()
        sign_out_everywhere(user=user)
        before = {"devices": removed}
        audit(actor=actor, action="device.removed", obj=user, before=before, reason=reason, otp_used=otp_used)
    return removed


def code_prove(*, user: User, code: str, request: HttpRequest | None, step: str) -> TotpDevice | None:
    """`code_check` for everything behind the login: a wrong code is audited and counts towards the lockout, and whoever
    is locked out is not even heard. `step` names what asked. Raises CipherError where codes cannot be checked, and
    TooManyAttempts: codes of all doors count together, per address."""
    if request is not None:
        if is_locked_out(request=request, user=user):
            return None
        code_attempt()
    device = code_check(user=user, code=code)
    if device is None:
        failure_count(request=request, user=user, action="code.refused", step=step)
    return device


def code_check(*, user: User, code: str) -> TotpDevice | None:
    """The confirmed device when `code` is its current code or an unused recovery code; None otherwise.

    A code works once. Failures slow the device down (1, 2, 4 ... s). A recovery code is checked without the cipher.
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


def _pending(user: User) -> TotpDevice | None:
    since = timezone.now() - PENDING_FOR
    return TotpDevice.objects.filter(user=user, confirmed=False, created_at__gt=since).first()


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
