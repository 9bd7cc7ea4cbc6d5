"""The log of comparing our books with the venue: every run, every finding, its repair and its proof."""

from django.db import models


class Severity(models.TextChoices):
    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


class ReconciliationRun(models.Model):
    account = models.ForeignKey("accounts.TradingAccount", on_delete=models.PROTECT, related_name="reconciliations")
    scope = models.CharField(max_length=16)
    """start, reconnect, in_flight, orders, positions, wallet, full, manual."""
    status = models.CharField(max_length=12)
    """running, good, findings, incomplete (an answer was missing: no conclusion)."""
    fence = models.BigIntegerField(default=0)
    executions_until_ms = models.BigIntegerField(default=0)
    """Exchange time up to which executions were compared; 0 where they were not."""
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True, blank=True)
    counts = models.JSONField(default=dict)
    error = models.CharField(max_length=300, blank=True, default="")

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["account", "-started_at"], name="reconciliation_account")]

    def __str__(self) -> str:
        return f"{self.scope} {self.status}"


class ReconciliationFinding(models.Model):
    """Keyed by what it is about: while it is open, finding it again writes nothing."""

    account = models.ForeignKey("accounts.TradingAccount", on_delete=models.PROTECT, related_name="findings")
    run = models.ForeignKey("trading.ReconciliationRun", on_delete=models.CASCADE, related_name="findings")
    kind = models.CharField(max_length=40)
    subject = models.CharField(max_length=100)
    """Order link id, execution id or symbol/position index: the same thing has the same subject."""
    severity = models.CharField(max_length=10, choices=Severity)
    symbol = models.CharField(max_length=32, blank=True, default="")
    sentence = models.CharField(max_length=300)
    details = models.JSONField(default=dict)
    action = models.CharField(max_length=60, blank=True, default="")
    proof = models.CharField(max_length=300, blank=True, default="")
    is_open = models.BooleanField(default=True)
    detected_at = models.DateTimeField()
    repaired_at = models.DateTimeField(null=True, blank=True)
    resolution = models.CharField(max_length=60, blank=True, default="")

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["account", "kind", "subject"], condition=models.Q(is_open=True), name="finding_one_open"
            ),
        ]
        indexes = [models.Index(fields=["account", "is_open", "severity"], name="finding_open")]

    def __str__(self) -> str:
        return f"{self.severity} {self.kind} {self.subject}"
