"""Executions, once each, and what follows from them alone: positions, money, slippage."""

from django.db import models

from avigrid.kernel.orders import Side, execution_reference
from trading.models.fields import amount


class Fill(models.Model):
    """One execution. `order` is null for one that no order of ours made: the venue's stop, a liquidation, a person."""

    exec_id = models.CharField(max_length=64)
    account = models.ForeignKey("accounts.TradingAccount", on_delete=models.PROTECT, related_name="fills")
    order = models.ForeignKey("trading.Order", null=True, blank=True, on_delete=models.PROTECT, related_name="fills")
    plan = models.ForeignKey("trading.Plan", null=True, blank=True, on_delete=models.PROTECT, related_name="fills")
    symbol = models.CharField(max_length=32)
    position_idx = models.PositiveSmallIntegerField()
    side = models.CharField(max_length=4, choices=[(side.value, side.value) for side in Side])
    kind = models.CharField(max_length=24, default="Trade")
    price = amount()
    quantity = amount()
    fee_usd = amount()
    realised_pnl_usd = amount(default=0)
    """Gross of the fee; follows from the position's earlier fills."""
    is_maker = models.BooleanField()
    venue_order_id = models.CharField(max_length=64, blank=True, default="")
    executed_at = models.DateTimeField()
    """Exchange time."""
    seq = models.BigIntegerField(default=0)
    """The venue's order of what shares a millisecond."""
    received_at = models.DateTimeField()
    booked_at = models.DateTimeField()
    source = models.CharField(max_length=16, default="stream")
    """stream, rest, adopted."""

    class Meta:
        ordering = ["executed_at", "id"]
        constraints = [
            models.CheckConstraint(condition=models.Q(quantity__gt=0, price__gt=0), name="fill_quantity_and_price"),
            models.UniqueConstraint(fields=["account", "exec_id", "venue_order_id"], name="fill_once"),
        ]
        indexes = [models.Index(fields=["account", "symbol", "position_idx", "executed_at"], name="fill_position")]

    def __str__(self) -> str:
        return f"{self.exec_id} {self.side} {self.quantity} @ {self.price}"

    @property
    def reference(self) -> str:
        """As the ledger names it."""
        return execution_reference(self.exec_id, self.venue_order_id)


class Position(models.Model):
    """Folded from fills only. `size` is signed: long above 0, short below."""

    account = models.ForeignKey("accounts.TradingAccount", on_delete=models.PROTECT, related_name="positions")
    symbol = models.CharField(max_length=32)
    position_idx = models.PositiveSmallIntegerField()
    size = amount(default=0)
    entry_value_usd = amount(default=0)
    """sum(price * quantity) of what is held; the average price is its quotient with the size."""
    realised_pnl_usd = amount(default=0)
    """Gross of fees, since the first fill."""
    fees_usd = amount(default=0)
    opened_at = models.DateTimeField(null=True, blank=True)
    last_fill_at = models.DateTimeField(null=True, blank=True)
    fill_count = models.PositiveIntegerField(default=0)

    class Meta:
        ordering = ["symbol", "position_idx"]
        constraints = [
            models.UniqueConstraint(fields=["account", "symbol", "position_idx"], name="position_unique"),
        ]

    def __str__(self) -> str:
        return f"{self.symbol}/{self.position_idx} {self.size}"


class SlippageRecord(models.Model):
    """Fill against requested price; positive bps cost us money."""

    fill = models.OneToOneField("trading.Fill", on_delete=models.CASCADE, related_name="slippage")
    plan = models.ForeignKey("trading.Plan", null=True, on_delete=models.CASCADE, related_name="slippage")
    symbol = models.CharField(max_length=32)
    is_entry = models.BooleanField()
    is_maker = models.BooleanField()
    requested_price = amount()
    fill_price = amount()
    slippage_bps = amount()
    at = models.DateTimeField()

    class Meta:
        ordering = ["-at"]
        indexes = [models.Index(fields=["symbol", "-at"], name="slippage_symbol_at")]

    def __str__(self) -> str:
        return f"{self.symbol} {self.slippage_bps} bps"


class LedgerKind(models.TextChoices):
    TRADE = "trade", "Realised PnL of a closing fill"
    FEE = "fee", "Trading fee"
    FUNDING = "funding", "Funding"
    TRANSFER = "transfer", "Deposit, withdrawal or other change of the venue's"


class LedgerEntry(models.Model):
    """One change of the account's money, signed: what we received is positive."""

    account = models.ForeignKey("accounts.TradingAccount", on_delete=models.PROTECT, related_name="ledger")
    plan = models.ForeignKey("trading.Plan", null=True, blank=True, on_delete=models.PROTECT, related_name="ledger")
    kind = models.CharField(max_length=12, choices=LedgerKind)
    symbol = models.CharField(max_length=32, blank=True, default="")
    change_usd = amount()
    reference = models.CharField(max_length=130)
    """The execution's, or the venue's row id."""
    note = models.CharField(max_length=120, blank=True, default="")
    at = models.DateTimeField()

    class Meta:
        ordering = ["at", "id"]
        constraints = [
            models.UniqueConstraint(fields=["account", "kind", "reference"], name="ledger_once_per_reference"),
        ]
        indexes = [models.Index(fields=["account", "at"], name="ledger_account_at")]

    def __str__(self) -> str:
        return f"{self.kind} {self.change_usd}"


class EquitySnapshot(models.Model):
    """The wallet as the venue showed it. `adjusted_equity_usd` leaves transfers out, for the drawdown."""

    account = models.ForeignKey("accounts.TradingAccount", on_delete=models.PROTECT, related_name="equity")
    at = models.DateTimeField()
    equity_usd = amount()
    adjusted_equity_usd = amount()
    wallet_balance_usd = amount()
    available_usd = amount()
    initial_margin_usd = amount()
    maintenance_margin_usd = amount()
    unrealised_pnl_usd = amount()

    class Meta:
        ordering = ["-at"]
        indexes = [models.Index(fields=["account", "-at"], name="equity_account_at")]

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M:%S} {self.equity_usd}"
