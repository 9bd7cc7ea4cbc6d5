"""The public tape, for the symbols that store it."""

from django.db import models

from marketdata.models.fields import chunked_time_field, symbol_field


class PublicTrade(models.Model):
    symbol = symbol_field()
    time = chunked_time_field("1 day")
    trade_id = models.CharField(max_length=64, db_collation="C")
    price = models.FloatField()
    quantity = models.FloatField(help_text="base coin")
    taker_is_buyer = models.BooleanField()
    seq = models.BigIntegerField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["symbol", "time", "trade_id"], name="public_trade_once")]

    def __str__(self) -> str:
        return f"{self.symbol} {self.trade_id}"
