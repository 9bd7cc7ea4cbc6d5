"""What a stored bar said before REST corrected it: decisions were taken on the old values."""

from django.db import models

from marketdata.models.fields import symbol_field


class KlineCorrection(models.Model):
    symbol = symbol_field()
    interval_min = models.SmallIntegerField()
    start = models.DateTimeField()
    found_at = models.DateTimeField()
    old_source = models.CharField(max_length=6)
    old_values = models.JSONField(help_text="open, high, low, close, volume, turnover")
    new_values = models.JSONField()

    class Meta:
        indexes = [models.Index(fields=["symbol", "interval_min", "start"], name="kline_correction_bar")]

    def __str__(self) -> str:
        return f"{self.symbol} {self.interval_min}m {self.start:%Y-%m-%d %H:%M} corrected"
