"""Who let the software place signals of a symbol by itself, and until when. Rows are never edited, only ended."""

from django.conf import settings
from django.db import models


class AutoMode(models.Model):
    """One permission: for one symbol of one account, until `until` or until somebody revokes it.

    Off is having none. Times are this machine's, because they are a person's deadline.
    """

    account = models.ForeignKey("accounts.TradingAccount", on_delete=models.PROTECT, related_name="auto_modes")
    symbol = models.CharField(max_length=32)
    granted_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    granted_at = models.DateTimeField()
    until = models.DateTimeField()
    reason = models.CharField(max_length=300)
    revoked_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-granted_at", "-id"]
        constraints = [
            models.CheckConstraint(condition=models.Q(until__gt=models.F("granted_at")), name="auto_mode_has_an_end"),
            models.UniqueConstraint(
                fields=["account", "symbol"], condition=models.Q(revoked_at__isnull=True), name="auto_mode_one_standing"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.symbol} until {self.until:%Y-%m-%d %H:%M}"
