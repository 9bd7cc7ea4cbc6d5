"""Orders as we believe them to be, and every step that led there.

`*_at` are this machine's wall clock; `venue_*` came from the exchange.
"""

from django.db import models

from avigrid.kernel.orders import OrderRole, OrderStatus, OrderType, Side, TimeInForce
from trading.models.fields import amount, optional_amount

TERMINAL_STATUSES = tuple(status.value for status in OrderStatus if status.is_terminal)
LIVE_STATUSES = tuple(status.value for status in OrderStatus if not status.is_terminal)


class Order(models.Model):
    """An intent committed before anything is sent. Its status changes only through `trading.engine.lifecycle`."""

    order_link_id = models.CharField(max_length=36, unique=True)
    plan = models.ForeignKey("trading.Plan", on_delete=models.PROTECT, related_name="orders")
    account = models.ForeignKey("accounts.TradingAccount", on_delete=models.PROTECT, related_name="orders")
    role = models.CharField(max_length=16, choices=[(role.value, role.value) for role in OrderRole])
    rung = models.PositiveSmallIntegerField(default=0)
    cycle = models.PositiveSmallIntegerField(default=0)
    attempt = models.PositiveSmallIntegerField(default=0)
    symbol = models.CharField(max_length=32)
    side = models.CharField(max_length=4, choices=[(side.value, side.value) for side in Side])
    order_type = models.CharField(max_length=8, choices=[(kind.value, kind.value) for kind in OrderType])
    time_in_force = models.CharField(max_length=8, choices=[(tif.value, tif.value) for tif in TimeInForce])
    quantity = amount()
    price = optional_amount()
    reference_price = optional_amount()
    """What the slippage of its fills is measured against."""
    reduce_only = models.BooleanField(default=False)
    position_idx = models.PositiveSmallIntegerField()

    status = models.CharField(
        max_length=20,
        choices=[(status.value, status.value) for status in OrderStatus],
        default=OrderStatus.INTENT.value,
    )
    filled_qty = amount(default=0)
    """Summed from booked fills, never from an order frame."""
    avg_price = optional_amount()
    venue_filled_qty = amount(default=0)
    """What order frames claim; above `filled_qty` it means fills are still to be fetched."""
    venue_status = models.CharField(max_length=32, blank=True, default="")
    """The venue's last word, in its own terms."""
    venue_updated_ms = models.BigIntegerField(default=0)
    venue_order_id = models.CharField(max_length=64, blank=True, default="", db_index=True)
    is_reserved = models.BooleanField(default=True)
    """Counts as exposure: from intent until proven finished, the unknown included."""
    cancel_requested_at = models.DateTimeField(null=True, blank=True)
    cancel_sent_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField()
    submitted_at = models.DateTimeField(null=True, blank=True)
    acknowledged_at = models.DateTimeField(null=True, blank=True)
    unknown_since = models.DateTimeField(null=True, blank=True)
    closed_at = models.DateTimeField(null=True, blank=True)
    reason = models.CharField(max_length=300, blank=True, default="")
    venue_code = models.CharField(max_length=32, blank=True, default="")

    class Meta:
        ordering = ["id"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(status__in=[status.value for status in OrderStatus]), name="order_status"
            ),
            models.CheckConstraint(condition=models.Q(quantity__gt=0, filled_qty__gte=0), name="order_quantities"),
            models.CheckConstraint(
                condition=models.Q(status__in=LIVE_STATUSES, closed_at__isnull=True)
                | models.Q(status__in=TERMINAL_STATUSES, closed_at__isnull=False),
                name="order_closed_at_when_terminal",
            ),
            models.CheckConstraint(
                condition=models.Q(is_reserved=True) | models.Q(status__in=TERMINAL_STATUSES),
                name="order_live_is_reserved",
            ),
            models.CheckConstraint(
                condition=models.Q(status=OrderStatus.INTENT.value, submitted_at__isnull=True)
                | ~models.Q(status=OrderStatus.INTENT.value),
                name="order_intent_was_not_sent",
            ),
            models.UniqueConstraint(
                fields=["plan", "role", "rung", "cycle", "attempt"], name="order_one_per_plan_step"
            ),
        ]
        indexes = [
            models.Index(
                fields=["account", "status"], condition=models.Q(status__in=LIVE_STATUSES), name="order_account_live"
            ),
            models.Index(fields=["account", "created_at"], name="order_account_created"),
        ]

    def __str__(self) -> str:
        return f"{self.order_link_id} {self.status}"


class OrderEvent(models.Model):
    """One event applied to one order; `is_impossible` ones changed nothing and raised an alert."""

    order = models.ForeignKey("trading.Order", on_delete=models.CASCADE, related_name="events")
    from_status = models.CharField(max_length=20)
    event = models.CharField(max_length=24)
    to_status = models.CharField(max_length=20)
    is_impossible = models.BooleanField(default=False)
    evidence = models.CharField(max_length=300, blank=True, default="")
    at = models.DateTimeField()

    class Meta:
        ordering = ["id"]
        indexes = [models.Index(fields=["at"], name="order_event_at")]

    def __str__(self) -> str:
        return f"{self.from_status} --{self.event}--> {self.to_status}"
