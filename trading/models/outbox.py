"""Events for the outside (notifications), committed with the change that made them and delivered later."""

from django.db import models


class OutboxEvent(models.Model):
    """`dedupe_key` is unique: the same fact is told once, however often it is found."""

    kind = models.CharField(max_length=40)
    severity = models.CharField(max_length=10, default="info")
    dedupe_key = models.CharField(max_length=120, unique=True)
    payload = models.JSONField(default=dict)
    created_at = models.DateTimeField()
    delivered_at = models.DateTimeField(null=True, blank=True)
    attempts = models.PositiveIntegerField(default=0)
    next_attempt_at = models.DateTimeField(null=True, blank=True)
    last_error = models.CharField(max_length=300, blank=True, default="")

    class Meta:
        ordering = ["id"]
        indexes = [
            models.Index(
                fields=["next_attempt_at"], condition=models.Q(delivered_at__isnull=True), name="outbox_pending"
            ),
            models.Index(fields=["created_at"], name="outbox_created"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.dedupe_key}"
