"""What an account pays for trading a symbol, as the venue told last."""

from django.db import models


class AccountFeeRates(models.Model):
    """Ratios of notional (0.00055 is 0.055 %); a maker who is paid has a negative one. One row, always the newest:
    what a decision or a plan was made with stands in its own record."""

    account = models.ForeignKey("accounts.TradingAccount", on_delete=models.CASCADE, related_name="fee_rates")
    symbol = models.CharField(max_length=32)
    taker = models.DecimalField(max_digits=12, decimal_places=10)
    maker = models.DecimalField(max_digits=12, decimal_places=10)
    read_at = models.DateTimeField()
    """This machine's clock."""

    class Meta:
        ordering = ["account", "symbol"]
        verbose_name_plural = "account fee rates"
        constraints = [
            models.UniqueConstraint(fields=["account", "symbol"], name="fee_rates_once_per_symbol"),
            models.CheckConstraint(condition=models.Q(taker__gte=0), name="fee_rates_taker_pays"),
        ]

    def __str__(self) -> str:
        return f"{self.symbol} taker {self.taker.normalize():f}, maker {self.maker.normalize():f}"
