"""What the venue lists, in its own grain, and which of it we watch."""

from django.db import models

from marketdata.models.fields import exact_field, symbol_field


class Instrument(models.Model):
    symbol = symbol_field(unique=True)
    base_coin = models.CharField(max_length=24)
    quote_coin = models.CharField(max_length=24)
    tick_size = exact_field()
    min_price = exact_field()
    max_price = exact_field()
    qty_step = exact_field()
    min_order_qty = exact_field()
    max_limit_qty = exact_field()
    max_market_qty = exact_field()
    min_notional = exact_field()
    max_leverage = exact_field()
    funding_interval_min = models.PositiveIntegerField()
    price_limit_ratio_x = exact_field()
    price_limit_ratio_y = exact_field()
    price_scale = models.PositiveSmallIntegerField(default=2)
    status = models.CharField(
        max_length=24, help_text="The venue's own word; Unlisted once it stops listing the symbol"
    )
    in_whitelist = models.BooleanField("traded", default=False, help_text="Streamed, stored and decided on")
    stores_trades = models.BooleanField(default=False, help_text="Keep the public trade tape")
    logs_order_book = models.BooleanField(default=False, help_text="Research mode: keep the 50-level book for 30 days")
    updated_at = models.DateTimeField()

    class Meta:
        ordering = ["symbol"]

    def __str__(self) -> str:
        return self.symbol
