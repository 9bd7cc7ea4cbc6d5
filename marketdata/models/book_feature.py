"""The order book in five numbers, sampled at the moment the bar confirmed."""

from django.db import models

from marketdata.models.fields import chunked_time_field, symbol_field


class BookFeature(models.Model):
    symbol = symbol_field()
    interval_min = models.SmallIntegerField(default=5)
    bar_start = chunked_time_field("30 days")
    time = models.DateTimeField(help_text="When the book was sampled")
    mid = models.FloatField()
    imbalance = models.FloatField(help_text="-1 (only asks) to 1 (only bids)")
    microprice = models.FloatField()
    spread_bps = models.FloatField()
    depth_usd = models.FloatField(help_text="Both sides within 10 bps of mid")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["symbol", "interval_min", "bar_start"], name="book_feature_once")
        ]

    def __str__(self) -> str:
        return f"{self.symbol} {self.interval_min}m {self.bar_start:%Y-%m-%d %H:%M}"
