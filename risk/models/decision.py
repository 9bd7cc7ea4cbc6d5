"""Every allow, queue and deny, with all its checks."""

from django.conf import settings
from django.db import models
from django.utils import timezone

from risk.core.request import RequestKind
from risk.core.verdict import Ruling


class RiskDecision(models.Model):
    """`checks` is a list of {code, passed, applies, warning, sentence, numbers}; `refused` the codes that refused."""

    account = models.ForeignKey("accounts.TradingAccount", on_delete=models.PROTECT, related_name="risk_decisions")
    kind = models.CharField(max_length=8, choices=[(kind.value, kind.value) for kind in RequestKind])
    symbol = models.CharField(max_length=32)
    direction = models.SmallIntegerField()
    reference = models.CharField(max_length=80, blank=True)
    ruling = models.CharField(max_length=8, choices=[(ruling.value, ruling.value) for ruling in Ruling])
    refused = models.JSONField(default=list)
    sentence = models.TextField()
    available_at = models.DateTimeField(null=True, blank=True)
    request = models.JSONField()
    checks = models.JSONField()
    limits_version = models.PositiveIntegerField(default=0)
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    decided_at = models.DateTimeField(default=timezone.now)
    took_ms = models.FloatField()
    """From the call of `decide` to the finished verdict, storing excluded."""

    class Meta:
        ordering = ("-id",)
        indexes = (
            models.Index(fields=("account", "-decided_at"), name="risk_decision_account_at"),
            models.Index(fields=("reference",), name="risk_decision_reference"),
        )

    def __str__(self) -> str:
        return f"{self.ruling} {self.kind} {self.symbol}"

    @property
    def allowed(self) -> bool:
        return self.ruling == Ruling.ALLOW
