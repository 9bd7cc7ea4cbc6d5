"""Settled funding rates."""

from django.db import models

from marketdata.models.fields import symbol_field


class FundingRate(models.Model):
    symbol = symbol_field()
    time = models.DateTimeField(help_text="Settlement instant")
    rate = models.DecimalField(max_digits=20, decimal_places=12, help_text="ratio of notional; positive: longs pay")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["symbol", "time"], name="funding_rate_once")]

    def __str__(self) -> str:
        return f"{self.symbol} {self.time:%Y-%m-%d %H:%M}"
