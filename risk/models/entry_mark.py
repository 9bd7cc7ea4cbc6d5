"""The newest entry per symbol and direction: what the anti-churn wait counts from."""

from django.db import models


class EntryMark(models.Model):
    account = models.ForeignKey("accounts.TradingAccount", on_delete=models.PROTECT, related_name="+")
    symbol = models.CharField(max_length=32)
    direction = models.SmallIntegerField()
    entered_at = models.DateTimeField()

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("account", "symbol", "direction"), name="entry_mark_scope"),
            models.CheckConstraint(condition=models.Q(direction__in=(-1, 1)), name="entry_mark_direction"),
        )

    def __str__(self) -> str:
        return f"{self.symbol} {'long' if self.direction > 0 else 'short'} {self.entered_at:%H:%M:%S}"
