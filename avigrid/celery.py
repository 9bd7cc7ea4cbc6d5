"""Background jobs. Schedules live here, where they can be read at a glance; the work lives in the apps' tasks."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "avigrid.settings.dev")

app = Celery("avigrid")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
app.conf.beat_schedule = {
    "notifications": {"task": "trading.notifications_deliver", "schedule": 10.0},
}
