"""First answers of writes that trade, so that a repeated request gets the same answer instead of a second order."""

from django.conf import settings
from django.db import models
from django.utils import timezone


class IdempotentCall(models.Model):
    """`status_code` is None while the first call is still running."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    key = models.CharField(max_length=80)
    request_hash = models.CharField(max_length=64)
    status_code = models.PositiveSmallIntegerField(null=True, blank=True)
    body = models.JSONField(null=True, blank=True)
    media_type = models.CharField(max_length=60, default="application/json", db_default="application/json")
    created_at = models.DateTimeField(default=timezone.now, db_index=True)

    class Meta:
        constraints = (models.UniqueConstraint(fields=("user", "key"), name="idempotency_key_per_user"),)

    def __str__(self) -> str:
        return f"call {self.key}"
