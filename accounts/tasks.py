"""Accounts' background job: what is over is forgotten. May run twice or late."""

from datetime import timedelta

from celery import shared_task
from django.core.management import call_command
from django.utils import timezone

from accounts.services.idempotency import calls_forget
from accounts.services.sessions import lapsed_forget
from accounts.services.tokens import families_forget

CALLS_KEPT = timedelta(days=1)


@shared_task(name="accounts.forget", ignore_result=True)
def forget() -> dict[str, int]:
    """Sessions that have expired, logins nobody can refresh any more, answers nobody will ask for again."""
    now = timezone.now()
    call_command("clearsessions")
    return {
        "calls": calls_forget(before=now - CALLS_KEPT),
        "families": families_forget(before=now),
        "sessions": lapsed_forget(),
    }
