"""Bars that should be there and were not: when it was seen, why, and when it was mended."""

from django.db import models

from marketdata.models.fields import symbol_field


class DataGap(models.Model):
    symbol = symbol_field()
    interval_min = models.SmallIntegerField()
    start = models.DateTimeField(help_text="Open time of the first missing bar")
    end = models.DateTimeField(help_text="Open time of the next bar that is there")
    found_at = models.DateTimeField()
    filled_at = models.DateTimeField(null=True, blank=True)
    bars_filled = models.PositiveIntegerField(default=0)
    reason = models.CharField(max_length=200)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["symbol", "interval_min", "start", "end"], name="data_gap_once"),
            models.CheckConstraint(condition=models.Q(start__lt=models.F("end")), name="data_gap_forward"),
        ]
        indexes = [
            models.Index(
                fields=["symbol", "interval_min"], name="data_gap_open", condition=models.Q(filled_at__isnull=True)
            )
        ]

    def __str__(self) -> str:
        return f"{self.symbol} {self.interval_min}m {self.start:%Y-%m-%d %H:%M} .. {self.end:%H:%M}"
