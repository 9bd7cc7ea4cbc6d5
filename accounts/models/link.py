"""One-time links: first password and password reset. Only the hash of the token is stored."""

from django.conf import settings
from django.db import models
from django.utils import timezone


class OneTimeLink(models.Model):
    class Purpose(models.TextChoices):
        ACTIVATE = "activate", "Activation"
        RESET = "reset", "Reset"

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="one_time_links")
    purpose = models.CharField(max_length=10, choices=Purpose.choices)
    token_hash = models.CharField(max_length=64, unique=True)
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return f"{self.purpose} link {self.pk}"
