from django.db import models


class Lease(models.Model):
    """Who may do a thing that only one process may do. `token` grows with every new holder: the fence."""

    name = models.CharField(max_length=128, unique=True)
    holder = models.CharField(max_length=128)
    token = models.BigIntegerField(default=0)
    expires_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.name} held by {self.holder} (token {self.token})"
