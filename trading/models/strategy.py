"""Which parameters the strategy decides with. A version is never edited: a change is a new version."""

from django.conf import settings
from django.db import models


class Stage(models.TextChoices):
    VALIDATION = "validation", "Validation: decides, sends nothing"
    PAPER = "paper", "Paper: simulated or demo exchange"
    LIVE = "live", "Live"


class StrategyVersion(models.Model):
    """`config` is the JSON form of `trading.avi5.config.StrategyConfig`, checked by it before it gets here."""

    name = models.CharField(max_length=32, default="avi5")
    version = models.PositiveIntegerField()
    config = models.JSONField()
    config_hash = models.CharField(max_length=64)
    stage = models.CharField(max_length=16, choices=Stage, default=Stage.VALIDATION)
    is_active = models.BooleanField(default=False)
    note = models.TextField(blank=True, default="")
    calibration = models.ForeignKey(
        "trading.ResearchRun", null=True, blank=True, on_delete=models.PROTECT, related_name="versions"
    )
    """The run its hours come from, where they come from one."""
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    created_at = models.DateTimeField()
    activated_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["name", "-version"]
        constraints = [
            models.UniqueConstraint(fields=["name", "version"], name="strategy_version_unique"),
            models.UniqueConstraint(
                fields=["name"], condition=models.Q(is_active=True), name="strategy_one_active_version"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} v{self.version}"
