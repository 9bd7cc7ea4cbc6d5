"""Trading accounts at the exchange and the keys that open them. Only ciphertext is ever stored."""

from django.conf import settings
from django.db import models
from django.utils import timezone


class TradingAccount(models.Model):
    """One account at the venue. Everything that trades belongs to exactly one of these."""

    class Environment(models.TextChoices):
        SIMULATED = "simulated", "Simulated"
        DEMO = "demo", "Demo"
        TESTNET = "testnet", "Testnet"
        MAINNET = "mainnet", "Mainnet"

    label = models.CharField(max_length=60, unique=True)
    environment = models.CharField(max_length=12, choices=Environment.choices)
    hedge_mode = models.BooleanField(default=True)
    base_url = models.CharField(max_length=200, blank=True, help_text="REST address; simulated exchange only")
    ws_url = models.CharField(max_length=200, blank=True, help_text="stream address; simulated exchange only")
    active = models.BooleanField(default=True)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ("label",)
        constraints = (
            models.CheckConstraint(
                condition=models.Q(environment="simulated") | models.Q(base_url="", ws_url=""),
                name="account_override_simulated_only",
            ),
        )

    def __str__(self) -> str:
        return f"{self.label} ({self.environment})"


class ApiKey(models.Model):
    """Rotation adds a row and deactivates the old one; at most one active key an account."""

    account = models.ForeignKey(TradingAccount, on_delete=models.PROTECT, related_name="api_keys")
    label = models.CharField(max_length=60)
    key_id = models.CharField(max_length=80)
    ciphertext = models.TextField(editable=False)
    permissions = models.JSONField(default=dict, blank=True)
    read_only = models.BooleanField(default=False)
    ip_bound = models.BooleanField(default=False)
    active = models.BooleanField(default=True)
    last_used_at = models.DateTimeField(null=True, blank=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="api_keys"
    )
    created_at = models.DateTimeField(default=timezone.now)
    deactivated_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("-id",)
        constraints = (
            models.UniqueConstraint(
                fields=("account",), condition=models.Q(active=True), name="one_active_key_per_account"
            ),
        )

    def __str__(self) -> str:
        return f"{self.label} ({self.key_id[:4]}…)"
