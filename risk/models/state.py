"""Trading state per account and per symbol, and how it came about."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from risk.core.states import State, StateSource

_STATES = [(state.value, state.name) for state in State]
_SOURCES = [(source.value, source.value.replace("_", " ")) for source in StateSource]


class TradingState(models.Model):
    """No row means ACTIVE. `symbol` null speaks for the whole account; the stricter of the two rows wins."""

    account = models.ForeignKey("accounts.TradingAccount", on_delete=models.PROTECT, related_name="trading_states")
    symbol = models.CharField(max_length=32, null=True, blank=True)
    state = models.CharField(max_length=12, choices=_STATES)
    source = models.CharField(max_length=24, choices=_SOURCES)
    reason = models.TextField()
    changed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    actor_name = models.CharField(max_length=64, blank=True)
    changed_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ("account", "symbol")
        constraints = (
            models.UniqueConstraint(fields=("account", "symbol"), nulls_distinct=False, name="trading_state_scope"),
            models.CheckConstraint(condition=Q(state__in=[state.value for state in State]), name="trading_state_known"),
            models.CheckConstraint(condition=~Q(symbol=""), name="trading_state_symbol_null_not_empty"),
        )

    def __str__(self) -> str:
        return f"{self.symbol or 'account'} {self.state}"


class TradingStateChange(models.Model):
    """Written once (a trigger forbids anything else). `flatten`: closing everything was asked for as well."""

    account = models.ForeignKey("accounts.TradingAccount", on_delete=models.PROTECT, related_name="+")
    symbol = models.CharField(max_length=32, null=True, blank=True)
    before = models.CharField(max_length=12, choices=_STATES)
    after = models.CharField(max_length=12, choices=_STATES)
    source = models.CharField(max_length=24, choices=_SOURCES)
    reason = models.TextField()
    flatten = models.BooleanField(default=False)
    otp_used = models.BooleanField(default=False)
    changed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    actor_name = models.CharField(max_length=64, blank=True)
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ("-id",)
        verbose_name = "trading state change"
        indexes = (models.Index(fields=("account", "-at"), name="state_change_account_at"),)

    def __str__(self) -> str:
        return f"{self.symbol or 'account'} {self.before} -> {self.after}"


class FlattenDone(models.Model):
    """The venue was flat after `change` had asked for it: whatever is held later is not this flattening's business."""

    change = models.OneToOneField(TradingStateChange, on_delete=models.CASCADE, related_name="flatten_done")
    at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return f"{self.change.symbol or 'account'} flat"
