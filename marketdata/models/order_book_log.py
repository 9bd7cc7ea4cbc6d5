"""Research mode: stretches of the 50-level stream, each replayable alone (it begins with a snapshot)."""

from django.db import models

from marketdata.models.fields import chunked_time_field, symbol_field


class OrderBookLog(models.Model):
    symbol = symbol_field()
    start = chunked_time_field("1 day")
    end = models.DateTimeField(help_text="Matching time of the last message")
    depth = models.PositiveSmallIntegerField(default=50)
    first_update_id = models.BigIntegerField()
    last_update_id = models.BigIntegerField()
    messages = models.PositiveIntegerField()
    payload = models.BinaryField(help_text="zlib of JSON lines [is_snapshot, u, seq, matched_ms, sent_ms, bids, asks]")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["symbol", "start", "first_update_id"], name="order_book_log_once")
        ]

    def __str__(self) -> str:
        return f"{self.symbol} {self.start:%Y-%m-%d %H:%M:%S} {self.messages} messages"
