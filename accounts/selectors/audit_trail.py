"""Reading the audit trail: the story of one object, and search for pages."""

from collections.abc import Iterable
from datetime import datetime

from django.db.models import Q, QuerySet

from accounts.models import AuditEntry


def story_of(object_type: str, object_id: int | str, *, actions: Iterable[str] = ()) -> QuerySet[AuditEntry]:
    """Oldest first; `object_type` as in `AuditEntry.object_type` (trading.plan)."""
    rows = AuditEntry.objects.filter(object_type=object_type, object_id=str(object_id)).select_related("actor")
    wanted = list(actions)
    return (rows.filter(action__in=wanted) if wanted else rows).order_by("pk")


def audit_search(
    *,
    action: str = "",
    object_type: str = "",
    object_id: str = "",
    actor: str = "",
    text: str = "",
    since: datetime | None = None,
    until: datetime | None = None,
    before_id: int | None = None,
) -> QuerySet[AuditEntry]:
    """Newest first, with actor and chain link; `action` by its start, `text` anywhere in the reason."""
    rows = AuditEntry.objects.select_related("actor", "link").order_by("-pk")
    if action:
        rows = rows.filter(action__startswith=action)
    if object_type:
        rows = rows.filter(object_type=object_type)
    if object_id:
        rows = rows.filter(object_id=object_id)
    if actor:
        rows = rows.filter(Q(actor__email__iexact=actor) | Q(actor_name=actor))
    if text:
        rows = rows.filter(reason__icontains=text)
    if since is not None:
        rows = rows.filter(at__gte=since)
    if until is not None:
        rows = rows.filter(at__lt=until)
    return rows if before_id is None else rows.filter(pk__lt=before_id)
