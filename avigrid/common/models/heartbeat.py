from django.db import models


class Heartbeat(models.Model):
    """The last sign of life of one process; `detail` is what the Health page shows beside it."""

    process = models.CharField(max_length=64, unique=True)
    beat_at = models.DateTimeField()
    started_at = models.DateTimeField()
    pid = models.IntegerField()
    host = models.CharField(max_length=128)
    detail = models.JSONField(default=dict)

    def __str__(self) -> str:
        return f"{self.process} at {self.beat_at:%H:%M:%S}"
