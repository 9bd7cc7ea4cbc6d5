"""Backtests, sweeps and calibrations that were asked for, and what they found. What has ended is never changed."""

from django.conf import settings
from django.db import models


class ResearchKind(models.TextChoices):
    BACKTEST = "backtest", "Backtest"
    SWEEP = "sweep", "Sweep"
    CALIBRATE = "calibrate", "Calibration"


class ResearchStatus(models.TextChoices):
    QUEUED = "queued", "Waiting for a worker"
    RUNNING = "running", "Running"
    DONE = "done", "Done"
    FAILED = "failed", "Failed"
    CANCELLED = "cancelled", "Cancelled"


ENDED = (ResearchStatus.DONE, ResearchStatus.FAILED, ResearchStatus.CANCELLED)


class ResearchRun(models.Model):
    """`params` is what was asked, checked; `config` what the strategy's numbers came to. Triggers keep an ended run
    and its parts as they are."""

    kind = models.CharField(max_length=12, choices=ResearchKind)
    params = models.JSONField()
    config = models.JSONField()
    config_hash = models.CharField(max_length=64)
    data_hash = models.CharField(max_length=64, blank=True, default="")
    status = models.CharField(max_length=12, choices=ResearchStatus, default=ResearchStatus.QUEUED)
    cancel_requested = models.BooleanField(default=False)
    shards = models.PositiveIntegerField(default=1)
    shards_done = models.PositiveIntegerField(default=0)
    result = models.JSONField(null=True, blank=True)
    report_html = models.TextField(blank=True, default="")
    error = models.CharField(max_length=400, blank=True, default="")
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    created_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True, blank=True)
    touched_at = models.DateTimeField()
    """The last sign of life of whoever works on it."""
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(condition=models.Q(status__in=ResearchStatus.values), name="research_status_known"),
            models.CheckConstraint(
                condition=models.Q(status__in=ENDED, ended_at__isnull=False)
                | (~models.Q(status__in=ENDED) & models.Q(ended_at__isnull=True)),
                name="research_ended_at_when_ended",
            ),
        ]
        indexes = [models.Index(fields=["kind", "-created_at"], name="research_kind_created")]

    def __str__(self) -> str:
        return f"{self.kind} {self.pk} {self.status}"

    @property
    def progress_ratio(self) -> float:
        return self.shards_done / self.shards if self.shards else 0.0


class ResearchShard(models.Model):
    """One part of a run, finished: what a restarted run need not do again."""

    run = models.ForeignKey("trading.ResearchRun", on_delete=models.CASCADE, related_name="parts")
    number = models.PositiveIntegerField()
    rows = models.JSONField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["run", "number"], name="research_shard_once")]

    def __str__(self) -> str:
        return f"part {self.number} of run {self.run_id}"
