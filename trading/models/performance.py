"""What each UTC day came to, rolled up from closed plans so that pages and metrics need not read them all."""

from django.db import models

from trading.models.fields import amount


class PerformanceDay(models.Model):
    """Plans that closed on `day` (exchange time) and had a fill. Rolling up a day again gives the same row.

    A win is a plan whose net (gross + funding - fees) is above 0; `*_r` is net over the plan's own 1R.
    """

    account = models.ForeignKey("accounts.TradingAccount", on_delete=models.PROTECT, related_name="performance")
    day = models.DateField()
    plans = models.PositiveIntegerField(default=0)
    wins = models.PositiveIntegerField(default=0)
    gross_usd = amount(default=0)
    fees_usd = amount(default=0)
    funding_usd = amount(default=0)
    won_usd = amount(default=0)
    """Sum of the nets above 0."""
    lost_usd = amount(default=0)
    """Sum of the nets below 0, as a positive number."""
    sum_r = amount(default=0)
    updated_at = models.DateTimeField()

    class Meta:
        ordering = ["-day"]
        constraints = [models.UniqueConstraint(fields=["account", "day"], name="performance_once_a_day")]

    def __str__(self) -> str:
        return f"{self.day} {self.plans} plans"
