"""Versions of an account's limits. A change is a new row; only `active` ever changes (a trigger sees to it)."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from risk.core.limits import RiskLimits

_DEFAULT = RiskLimits()


def _usd(default: object) -> models.DecimalField:
    return models.DecimalField(max_digits=20, decimal_places=8, default=default)


def _ratio(default: object) -> models.DecimalField:
    return models.DecimalField(max_digits=12, decimal_places=6, default=default)


class RiskLimitsVersion(models.Model):
    """The columns after `reason` are exactly the fields of `risk.core.limits.RiskLimits`."""

    account = models.ForeignKey("accounts.TradingAccount", on_delete=models.PROTECT, related_name="risk_limits")
    version = models.PositiveIntegerField()
    active = models.BooleanField(default=True)
    created_at = models.DateTimeField(default=timezone.now)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    reason = models.TextField(blank=True)

    r_usd = _usd(_DEFAULT.r_usd)
    max_plan_risk_r = _ratio(_DEFAULT.max_plan_risk_r)
    max_concurrent = models.PositiveIntegerField(default=_DEFAULT.max_concurrent)
    max_total_risk_r = _ratio(_DEFAULT.max_total_risk_r)
    max_per_base = models.PositiveIntegerField(default=_DEFAULT.max_per_base)
    max_per_symbol_risk_r = _ratio(_DEFAULT.max_per_symbol_risk_r)
    anti_churn_s = models.PositiveIntegerField(default=_DEFAULT.anti_churn_s)
    daily_loss_r = _ratio(_DEFAULT.daily_loss_r)
    drawdown_yellow_ratio = _ratio(_DEFAULT.drawdown_yellow_ratio)
    drawdown_orange_ratio = _ratio(_DEFAULT.drawdown_orange_ratio)
    drawdown_red_ratio = _ratio(_DEFAULT.drawdown_red_ratio)
    loss_streak_stops = models.PositiveIntegerField(default=_DEFAULT.loss_streak_stops)
    loss_streak_pause_min = models.PositiveIntegerField(default=_DEFAULT.loss_streak_pause_min)
    max_leverage = _ratio(_DEFAULT.max_leverage)
    max_plan_notional_usd = _usd(_DEFAULT.max_plan_notional_usd)
    max_symbol_notional_usd = _usd(_DEFAULT.max_symbol_notional_usd)
    max_margin_ratio = _ratio(_DEFAULT.max_margin_ratio)
    liquidation_stop_multiple = _ratio(_DEFAULT.liquidation_stop_multiple)
    orders_per_minute = models.PositiveIntegerField(default=_DEFAULT.orders_per_minute)
    orders_per_day = models.PositiveIntegerField(default=_DEFAULT.orders_per_day)
    book_max_age_s = models.PositiveIntegerField(default=_DEFAULT.book_max_age_s)
    bars_max_age = models.PositiveIntegerField(default=_DEFAULT.bars_max_age)
    reconciliation_max_age_s = models.PositiveIntegerField(default=_DEFAULT.reconciliation_max_age_s)
    max_price_deviation_ratio = _ratio(_DEFAULT.max_price_deviation_ratio)
    max_clock_offset_ms = models.PositiveIntegerField(default=_DEFAULT.max_clock_offset_ms)
    flatten_on_red = models.BooleanField(default=_DEFAULT.flatten_on_red)
    halt_on_critical = models.BooleanField(default=_DEFAULT.halt_on_critical)
    halt_after_errors = models.PositiveIntegerField(default=_DEFAULT.halt_after_errors)
    halt_after_stale_s = models.PositiveIntegerField(default=_DEFAULT.halt_after_stale_s)

    class Meta:
        ordering = ("-version",)
        verbose_name = "risk limits"
        verbose_name_plural = "risk limits"
        constraints = (
            models.UniqueConstraint(fields=("account", "version"), name="risk_limits_version_once"),
            models.UniqueConstraint(fields=("account",), condition=Q(active=True), name="risk_limits_one_active"),
        )

    def __str__(self) -> str:
        return f"limits v{self.version}"
