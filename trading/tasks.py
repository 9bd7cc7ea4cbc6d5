"""Trading's background jobs. None of them is on the order path; each may run twice or late."""

from celery import shared_task
from django.utils import timezone

from trading.services.notifications import notifications_deliver


@shared_task(name="trading.notifications_deliver", ignore_result=True)
def deliver_notifications() -> int:
    return notifications_deliver(now=timezone.now())
