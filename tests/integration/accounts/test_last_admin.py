"""Two admins who take each other's rights at the same moment: one succeeds, the other is the last and stays."""

import threading
from collections.abc import Callable

import pytest
from django.db import connections, transaction

from accounts.core.roles import Role
from accounts.models import User
from accounts.selectors.people import users_with_role
from accounts.services.users import user_deactivate, user_role_set
from tests.support.locks import until_somebody_waits
from tests.support.users import make_user

pytestmark = pytest.mark.django_db(transaction=True)


def deactivate(user: User, actor: User) -> None:
    user_deactivate(user=user, actor=actor)


def demote(user: User, actor: User) -> None:
    user_role_set(user=user, role=Role.VIEWER, actor=actor)


@pytest.mark.parametrize("theirs", [deactivate, demote])
@pytest.mark.parametrize("ours", [deactivate, demote])
def test_one_of_two_who_remove_each_other_stays(
    ours: Callable[[User, User], None], theirs: Callable[[User, User], None]
) -> None:
    first, second = make_user("admin"), make_user("admin")
    outcome: list[str] = []

    def remove_second() -> None:
        try:
            theirs(second, first)
            outcome.append("done")
        except Exception as error:
            outcome.append(getattr(error, "code", type(error).__name__))
        finally:
            connections.close_all()

    other = threading.Thread(target=remove_second)
    with transaction.atomic():
        User.objects.select_for_update().get(pk=first.pk)
        other.start()
        until_somebody_waits()  # they hold whatever they lock before the first admin
        ours(first, second)
    other.join(60)
    assert outcome == ["last_admin"]
    assert [user.pk for user in users_with_role(Role.ADMIN).filter(is_active=True)] == [second.pk]
