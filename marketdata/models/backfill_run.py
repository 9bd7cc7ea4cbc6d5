"""Backfills: what was asked, how far each part came. A killed one is continued from its last committed window."""

from django.db import models

from marketdata.models.fields import symbol_field


class BackfillRun(models.Model):
    class State(models.TextChoices):
        RUNNING = "running"
        DONE = "done"
        FAILED = "failed"

    spec = models.CharField(max_length=500, unique=True, help_text="The request in one canonical line")
    state = models.CharField(max_length=8, choices=State, default=State.RUNNING)
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True, blank=True)
    summary = models.JSONField(default=dict)

    def __str__(self) -> str:
        return f"{self.spec} ({self.state})"


class BackfillProgress(models.Model):
    """One symbol and interval (or one file) of a run."""

    run = models.ForeignKey("marketdata.BackfillRun", on_delete=models.CASCADE, related_name="parts")
    part = models.CharField(max_length=200, help_text="symbol/interval, or file name and size")
    symbol = symbol_field()
    interval_min = models.SmallIntegerField()
    done_until = models.DateTimeField(null=True, blank=True, help_text="Everything before this is stored")
    rows_seen = models.BigIntegerField(default=0)
    rows_new = models.BigIntegerField(default=0)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["run", "part"], name="backfill_progress_once")]

    def __str__(self) -> str:
        return self.part
