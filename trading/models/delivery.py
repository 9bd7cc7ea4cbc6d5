"""How far each outbox event has come on each channel."""

from django.db import models


class Delivery(models.Model):
    """Unique per event and channel: one that arrived is not sent again. One that was given up keeps its last error."""

    event = models.ForeignKey("trading.OutboxEvent", on_delete=models.CASCADE, related_name="deliveries")
    channel = models.CharField(max_length=20)
    attempts = models.PositiveIntegerField(default=0)
    next_attempt_at = models.DateTimeField(null=True, blank=True)
    delivered_at = models.DateTimeField(null=True, blank=True)
    given_up_at = models.DateTimeField(null=True, blank=True)
    last_error = models.CharField(max_length=200, blank=True, default="")

    class Meta:
        verbose_name_plural = "deliveries"
        constraints = [models.UniqueConstraint(fields=["event", "channel"], name="delivery_once_per_channel")]

    def __str__(self) -> str:
        return f"{self.event_id} to {self.channel}"

    @property
    def is_settled(self) -> bool:
        return self.delivered_at is not None or self.given_up_at is not None
