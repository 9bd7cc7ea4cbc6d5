"""Forward validation: what the backtest's fill model made of each live signal, and every change of stage."""

from django.conf import settings
from django.db import models

from trading.models.fields import amount, optional_amount
from trading.models.strategy import Stage


class ModelledStatus(models.TextChoices):
    OPEN = "open", "Open"
    CLOSED = "closed", "Closed"
    NOT_FILLED = "not_filled", "Entry not filled"
    SKIPPED = "skipped", "Not taken"


class ModelledPlan(models.Model):
    """One signal's plan over the bars recorded since, as if it had been taken. While it is open it is modelled again,
    from its beginning, with every bar that arrives; once it has ended it is never changed.

    Times are the exchange's. `net_usd` is after fees and funding.
    """

    signal = models.OneToOneField("trading.Signal", on_delete=models.CASCADE, related_name="modelled")
    strategy = models.ForeignKey("trading.StrategyVersion", on_delete=models.PROTECT, related_name="modelled")
    symbol = models.CharField(max_length=32)
    direction = models.SmallIntegerField()
    status = models.CharField(max_length=12, choices=ModelledStatus, default=ModelledStatus.OPEN)
    reason = models.CharField(max_length=40, blank=True, default="")
    """Why it ended, or why it was not taken."""
    decided_at = models.DateTimeField()
    """Close of the signal's bar."""
    last_bar = models.DateTimeField()
    """The newest 5m bar it was modelled on."""
    closed_at = models.DateTimeField(null=True, blank=True)
    entry_price = optional_amount()
    quantity = amount(default=0)
    gross_usd = amount(default=0)
    fees_usd = amount(default=0)
    funding_usd = amount(default=0)
    slippage_usd = amount(default=0)
    net_usd = amount(default=0)
    r_usd = amount()
    r = models.FloatField(default=0.0)
    modelled_slippage_bps = models.FloatField(null=True, blank=True)
    """Of the first entry against the signal's price, as the model filled it; positive costs money."""
    observed_slippage_bps = models.FloatField(null=True, blank=True)
    """Of the same entry in the market: what a placed plan paid, or what the recorded book asked for."""
    observed_from = models.CharField(max_length=8, blank=True, default="")
    """`fills` or `book`."""
    data_hash = models.CharField(max_length=16, blank=True, default="")
    market = models.CharField(max_length=16, blank=True, default="")
    """Whose bars it was modelled on: the environment of the market data then; empty where nobody noted it."""

    class Meta:
        ordering = ["-decided_at", "-id"]
        constraints = [
            models.CheckConstraint(condition=models.Q(status__in=ModelledStatus.values), name="modelled_status"),
            models.CheckConstraint(condition=models.Q(direction__in=(-1, 1)), name="modelled_direction"),
        ]
        indexes = [
            models.Index(fields=["strategy", "symbol", "-decided_at"], name="modelled_strategy_symbol"),
            models.Index(fields=["strategy", "status"], name="modelled_strategy_status"),
        ]

    def __str__(self) -> str:
        return f"{self.symbol} {self.decided_at:%Y-%m-%d %H:%M} {self.status}"


class StageChange(models.Model):
    """Who moved a version to which stage, on which evidence. Stage live holds only while such a row stands for it."""

    strategy = models.ForeignKey("trading.StrategyVersion", on_delete=models.PROTECT, related_name="stage_changes")
    before = models.CharField(max_length=16, choices=Stage)
    after = models.CharField(max_length=16, choices=Stage)
    reason = models.TextField()
    is_override = models.BooleanField(default=False)
    """The thresholds were not met; an admin took it on himself."""
    evidence = models.JSONField(default=dict)
    """The verdict at that moment: each threshold, value, passed or not."""
    changed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    changed_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)
    """When the next change took its place."""

    class Meta:
        ordering = ["-changed_at", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["strategy"], condition=models.Q(ended_at__isnull=True), name="stage_change_one_standing"
            ),
            models.CheckConstraint(condition=~models.Q(reason=""), name="stage_change_has_reason"),
        ]

    def __str__(self) -> str:
        return f"{self.before} to {self.after}"
