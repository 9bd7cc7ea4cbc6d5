"""Who did what to which object. Rows are written once; the database itself refuses to change them.

An entry is inserted inside the transaction it describes. A deferred trigger (migration 0002) appends its link to the
chain at commit, so the head of the chain is locked only for the last instant of a transaction, and two services that
audit in different order cannot deadlock.
"""

from django.conf import settings
from django.db import models
from django.utils import timezone


class AuditEntry(models.Model):
    """`actor_name` names a process ("execution", "watchdog") where no person acted; never an e-mail address."""

    at = models.DateTimeField(default=timezone.now, db_index=True)
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="audit_entries"
    )
    actor_name = models.CharField(max_length=64, blank=True)
    action = models.CharField(max_length=80, db_index=True)
    object_type = models.CharField(max_length=80, blank=True)
    object_id = models.CharField(max_length=120, blank=True)
    before = models.JSONField(null=True, blank=True)
    after = models.JSONField(null=True, blank=True)
    reason = models.TextField(blank=True)
    ip = models.GenericIPAddressField(null=True, blank=True)
    otp_used = models.BooleanField(default=False)
    digest = models.CharField(max_length=64, editable=False)

    class Meta:
        ordering = ("-id",)
        verbose_name_plural = "audit entries"
        indexes = (models.Index(fields=("object_type", "object_id", "-id"), name="audit_object"),)

    def __str__(self) -> str:
        return f"#{self.pk} {self.action} {self.object_type} {self.object_id}".rstrip()


class AuditLink(models.Model):
    """One link of the chain: hash = sha256(previous hash text + entry digest text). Written by the database only."""

    seq = models.BigIntegerField(primary_key=True)
    entry = models.OneToOneField(AuditEntry, on_delete=models.PROTECT, related_name="link")
    prev_hash = models.CharField(max_length=64)
    hash = models.CharField(max_length=64)

    class Meta:
        ordering = ("seq",)

    def __str__(self) -> str:
        return f"{self.seq} {self.hash[:12]}"


class AuditHead(models.Model):
    """The newest link; the one row every commit with audit entries locks. Shows when the tail was cut off."""

    id = models.SmallIntegerField(primary_key=True, default=1)
    seq = models.BigIntegerField(default=0)
    hash = models.CharField(max_length=64)

    class Meta:
        constraints = (models.CheckConstraint(condition=models.Q(id=1), name="audit_head_single_row"),)

    def __str__(self) -> str:
        return f"head {self.seq}"
