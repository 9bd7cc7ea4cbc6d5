"""A placed signal: the unit of risk, protection and result.

`opened_at` (the click) and `closed_at` are exchange time, on which time exits are measured; `created_at` is this
machine's.
"""

from django.conf import settings
from django.db import models

from trading.models.fields import amount, optional_amount


class PlanStatus(models.TextChoices):
    PLACING = "placing", "Entry on its way"
    ACTIVE = "active", "In the market"
    CLOSING = "closing", "Closing"
    CLOSED = "closed", "Closed"
    FAILED_UNDERFILL = "failed_underfill", "Entry filled too little"
    FAILED = "failed", "Entry failed"


OPEN_PLAN_STATUSES = (PlanStatus.PLACING, PlanStatus.ACTIVE, PlanStatus.CLOSING)


class PlanOrigin(models.TextChoices):
    OPERATOR = "operator"
    AUTO = "auto"
    ADOPTED = "adopted", "Found at the venue"


class Plan(models.Model):
    account = models.ForeignKey("accounts.TradingAccount", on_delete=models.PROTECT, related_name="plans")
    signal = models.OneToOneField(
        "trading.Signal", null=True, blank=True, on_delete=models.PROTECT, related_name="plan"
    )
    origin = models.CharField(max_length=16, choices=PlanOrigin, default=PlanOrigin.OPERATOR)
    symbol = models.CharField(max_length=32)
    direction = models.SmallIntegerField()
    position_idx = models.PositiveSmallIntegerField()
    profile = models.CharField(max_length=16)
    spec = models.JSONField()
    state = models.JSONField(default=dict, blank=True)
    """What the plan's pure step remembers beyond its orders (`trading.services.plan_state`)."""
    status = models.CharField(max_length=20, choices=PlanStatus, default=PlanStatus.PLACING)
    close_reason = models.CharField(max_length=40, blank=True, default="")

    stop_price = optional_amount()
    """Where the stop should be; null before anything is filled, and again while a grid is flat."""
    stop_confirmed = optional_amount()
    """Where the venue last showed it; null: not seen yet."""
    stop_confirmed_at = models.DateTimeField(null=True, blank=True)
    break_even_at = models.DateTimeField(null=True, blank=True)
    entries_cancelled = models.BooleanField(default=False)

    r_usd = amount()
    realised_pnl_usd = amount(default=0)
    """Gross of fees and funding."""
    fees_usd = amount(default=0)
    """Paid is positive."""
    funding_usd = amount(default=0)
    """Received is positive."""

    placed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    created_at = models.DateTimeField()
    opened_at = models.DateTimeField(null=True, blank=True)
    closed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-created_at", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["account", "symbol", "position_idx"],
                condition=models.Q(status__in=OPEN_PLAN_STATUSES),
                name="plan_one_open_per_position",
            ),
            models.CheckConstraint(condition=models.Q(direction__in=(-1, 1)), name="plan_direction"),
            models.CheckConstraint(condition=models.Q(status__in=PlanStatus.values), name="plan_status"),
        ]
        indexes = [models.Index(fields=["account", "status"], name="plan_account_status")]

    def __str__(self) -> str:
        return f"Plan {self.pk} {self.symbol} {self.status}"

    @property
    def is_open(self) -> bool:
        return self.status in OPEN_PLAN_STATUSES
