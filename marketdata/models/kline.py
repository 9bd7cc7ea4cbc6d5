"""Closed bars. Unclosed ones are never stored."""

from django.contrib.postgres.indexes import BrinIndex
from django.db import models

from marketdata.models.fields import chunked_time_field, symbol_field


class KlineSource(models.TextChoices):
    """Who said so. REST, asked after the bar's end, corrects the others; nothing else corrects anything."""

    STREAM = "stream"
    REST = "rest"
    FILE = "file"


class Kline(models.Model):
    """Found by symbol, interval and start, loaded by the million: no foreign key, and only a BRIN index on id.

    A migration drops the primary-key constraint, as TimescaleDB's backend does by itself; `kline_once` is the identity.
    """

    symbol = symbol_field()
    interval_min = models.SmallIntegerField()
    start = chunked_time_field("30 days")
    open = models.FloatField()
    high = models.FloatField()
    low = models.FloatField()
    close = models.FloatField()
    volume = models.FloatField(help_text="base coin")
    turnover = models.FloatField(help_text="quote coin; NaN where the source has none")
    source = models.CharField(max_length=6, choices=KlineSource)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["symbol", "interval_min", "start"], name="kline_once")]
        indexes = [BrinIndex(fields=["id"], name="kline_id_brin")]

    def __str__(self) -> str:
        return f"{self.symbol} {self.interval_min}m {self.start:%Y-%m-%d %H:%M}"
