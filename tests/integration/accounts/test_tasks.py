"""What is over is forgotten, and nothing else."""

import uuid
from datetime import timedelta

import pytest
from django.contrib.sessions.models import Session
from django.utils import timezone

from accounts.models import IdempotentCall, TokenFamily, UserSession
from accounts.tasks import forget
from tests.support.users import make_user

pytestmark = pytest.mark.django_db


def test_old_sessions_logins_and_answers_go_and_living_ones_stay() -> None:
    user, now = make_user(), timezone.now()
    minute = timedelta(minutes=1)
    for key, at in (("old", now - timedelta(days=1) - minute), ("new", now - timedelta(days=1) + minute)):
        IdempotentCall.objects.create(user=user, key=key, request_hash="x", status_code=200, created_at=at)
        Session.objects.create(session_key=key, session_data="", expire_date=at + timedelta(days=1))
        TokenFamily.objects.create(id=uuid.uuid4(), user=user, user_agent=key, expires_at=at + timedelta(days=1))
        UserSession.objects.create(user=user, session_key=key, user_agent=key)
    UserSession.objects.create(user=user, session_key="gone")  # its session was replaced by another
    assert forget() == {"calls": 1, "families": 1, "sessions": 2}
    assert UserSession.objects.get().session_key == "new"
    assert IdempotentCall.objects.get().key == "new"
    assert Session.objects.get().session_key == "new"
    assert TokenFamily.objects.get().user_agent == "new"
