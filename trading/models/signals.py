"""What the strategy decided at a bar's close, and the offers (signals) that came of it.

Times here are the exchange's: on a simulated exchange they run at its speed.
"""

from django.db import models

from trading.models.fields import amount


class Decision(models.Model):
    """One evaluation of one closed bar; every rule with value and threshold, passed or not."""

    strategy = models.ForeignKey("trading.StrategyVersion", on_delete=models.PROTECT, related_name="decisions")
    symbol = models.CharField(max_length=32)
    bar_start = models.DateTimeField()
    decided_at = models.DateTimeField()
    status = models.CharField(max_length=24)
    direction = models.SmallIntegerField(default=0)
    score = models.FloatField(null=True, blank=True)
    used_proxy = models.BooleanField(default=False)
    rules = models.JSONField(default=list)
    indicators = models.JSONField(default=dict)
    reason = models.CharField(max_length=200, blank=True, default="")

    class Meta:
        ordering = ["-bar_start", "symbol"]
        constraints = [
            models.UniqueConstraint(fields=["strategy", "symbol", "bar_start"], name="decision_once_per_bar"),
            models.CheckConstraint(condition=models.Q(direction__in=(-1, 0, 1)), name="decision_direction"),
        ]
        indexes = [models.Index(fields=["symbol", "-bar_start"], name="decision_symbol_bar")]

    def __str__(self) -> str:
        return f"{self.symbol} {self.bar_start:%Y-%m-%d %H:%M} {self.status}"


class SignalStatus(models.TextChoices):
    NEW = "new"
    QUEUED = "queued"
    PLACED = "placed"
    EXPIRED = "expired"
    REJECTED = "rejected"
    BELOW_MINIMUM = "below_minimum"
    SUPERSEDED = "superseded"


class Signal(models.Model):
    """An offer to trade. `spec` is the JSON form of the AVI-5 plan specification: levels, rungs, sizes."""

    decision = models.ForeignKey("trading.Decision", on_delete=models.PROTECT, related_name="signals")
    symbol = models.CharField(max_length=32)
    direction = models.SmallIntegerField()
    profile = models.CharField(max_length=16)
    entry_price = amount()
    stop_price = amount()
    take_profits = models.JSONField(default=list)
    spec = models.JSONField()
    risk_usd = amount()
    score = models.FloatField(null=True, blank=True)
    p_win = models.FloatField(null=True, blank=True)
    status = models.CharField(max_length=16, choices=SignalStatus, default=SignalStatus.NEW)
    reason = models.CharField(max_length=300, blank=True, default="")
    created_at = models.DateTimeField()
    valid_until = models.DateTimeField()
    queued_until = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-created_at", "-id"]
        constraints = [
            models.UniqueConstraint(fields=["decision", "profile"], name="signal_once_per_decision_and_profile"),
            models.CheckConstraint(condition=models.Q(direction__in=(-1, 1)), name="signal_direction"),
            models.CheckConstraint(condition=models.Q(status__in=SignalStatus.values), name="signal_status"),
        ]
        indexes = [models.Index(fields=["status", "-created_at"], name="signal_status_created")]

    def __str__(self) -> str:
        return f"{self.symbol} {'long' if self.direction > 0 else 'short'} {self.status}"
