"""Where operators want to be told. The signing secret or token is stored encrypted, never in the clear."""

from django.db import models
from django.utils import timezone


class NotificationChannel(models.Model):
    """`ciphertext` holds a webhook's signing secret or a Telegram bot's token. `address` of a webhook may itself be
    confidential and is never logged."""

    class Kind(models.TextChoices):
        WEBHOOK = "webhook", "Webhook (JSON, signed)"
        TELEGRAM = "telegram", "Telegram bot"

    class Least(models.TextChoices):
        INFO = "info", "Everything worth a message"
        WARNING = "warning", "Warnings and worse"
        CRITICAL = "critical", "Critical only"

    name = models.SlugField(max_length=20, unique=True)
    kind = models.CharField(max_length=10, choices=Kind)
    address = models.CharField(max_length=300, blank=True, help_text="webhook: its URL; Telegram: empty for the usual")
    chat = models.CharField(max_length=64, blank=True, help_text="Telegram: number of the chat")
    ciphertext = models.TextField(editable=False)
    least_severity = models.CharField(max_length=10, choices=Least, default=Least.WARNING)
    quiet_from = models.TimeField(null=True, blank=True, help_text="only critical messages from here ...")
    quiet_to = models.TimeField(null=True, blank=True, help_text="... to here")
    zone = models.CharField(max_length=40, default="UTC", help_text="whose clock the quiet hours are on")
    active = models.BooleanField(default=True)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ("name",)
        constraints = (
            models.CheckConstraint(
                condition=models.Q(quiet_from__isnull=True, quiet_to__isnull=True)
                | models.Q(quiet_from__isnull=False, quiet_to__isnull=False),
                name="channel_quiet_has_both_ends",
            ),
            models.CheckConstraint(condition=models.Q(kind__in=("webhook", "telegram")), name="channel_kind_known"),
        )

    def __str__(self) -> str:
        return f"{self.name} ({self.kind})"
