"""What risk remembers of an account from one look to the next."""

from django.db import models


class AccountMeter(models.Model):
    """`peak_usd` is neutral to transfers. `day_*` stand at the first look of the UTC day `day`."""

    account = models.OneToOneField("accounts.TradingAccount", on_delete=models.PROTECT, related_name="risk_meter")
    equity_usd = models.DecimalField(max_digits=38, decimal_places=18, null=True, blank=True)
    equity_at = models.DateTimeField(null=True, blank=True)
    peak_usd = models.DecimalField(max_digits=38, decimal_places=18, null=True, blank=True)
    peak_at = models.DateTimeField(null=True, blank=True)
    day = models.DateField(null=True, blank=True)
    day_equity_usd = models.DecimalField(max_digits=38, decimal_places=18, null=True, blank=True)
    day_open_loss_usd = models.DecimalField(max_digits=38, decimal_places=18, default=0)
    drawdown_level = models.CharField(max_length=8, default="none")
    loss_halt_day = models.DateField(null=True, blank=True)
    """The level, and the day, the automatic triggers have acted on: each acts once, a re-arm is not undone at once."""
    stop_streak = models.PositiveIntegerField(default=0)
    last_stop_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"meter of account {self.account_id}"
