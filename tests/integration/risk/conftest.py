"""An account and the people around it."""

from datetime import UTC, datetime

import pytest
from django.contrib.auth.models import Group

from accounts.models import TradingAccount, User
from tests.support.risk import NOW_MS


@pytest.fixture
def account(db: None) -> TradingAccount:
    return TradingAccount.objects.create(label="risk test", environment="simulated")


def _person(role: str) -> User:
    user = User.objects.create_user(f"{role}@example.test")
    user.groups.add(Group.objects.get_or_create(name=role)[0])
    return user


@pytest.fixture
def admin(db: None) -> User:
    return _person("admin")


@pytest.fixture
def trader(db: None) -> User:
    return _person("trader")


@pytest.fixture
def now() -> datetime:
    return datetime.fromtimestamp(NOW_MS / 1000, UTC)
