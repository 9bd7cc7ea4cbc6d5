"""Second factors: a TOTP device whose secret is ciphertext, and recovery codes kept as hashes."""

from django.conf import settings
from django.db import models, transaction
from django.utils import timezone
from django_otp.models import Device, ThrottlingMixin

from accounts.ciphers import Purpose, get_cipher
from accounts.core import totp


class TotpDevice(ThrottlingMixin, Device):
    """RFC 6238, 30 s, 6 digits, SHA-1 (what every authenticator app speaks). `last_step` forbids using a code twice."""

    secret_ciphertext = models.TextField(editable=False)
    last_step = models.BigIntegerField(default=-1, editable=False)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta(Device.Meta):
        verbose_name = "one-time-password device"
        constraints = (
            models.UniqueConstraint(
                fields=("user",), condition=models.Q(confirmed=True), name="one_confirmed_device_per_user"
            ),
        )

    def get_throttle_factor(self) -> float:
        return 1.0

    def verify_token(self, token: str) -> bool:
        """True for a correct, not yet used code; locks the row, so that a code racing itself is accepted once."""
        with transaction.atomic():
            device = type(self).objects.select_for_update().get(pk=self.pk)
            if not device.verify_is_allowed()[0]:
                return False
            secret = get_cipher(Purpose.OTP).decrypt(device.secret_ciphertext)
            step = totp.matching_step(secret=secret, code=token, now_s=int(timezone.now().timestamp()))
            if step is None or step <= device.last_step:
                device.throttle_increment()
                return False
            device.last_step = step
            device.throttle_reset(commit=False)
            device.save(update_fields=["last_step", "throttling_failure_timestamp", "throttling_failure_count"])
            return True


class RecoveryCode(models.Model):
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="recovery_codes")
    code_hash = models.CharField(max_length=128)
    used_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return f"recovery code {self.pk}"
