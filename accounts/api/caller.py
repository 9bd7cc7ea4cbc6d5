"""Who makes this call, once the door has let them in."""

from rest_framework.request import Request

from accounts.models import User


def caller(request: Request) -> User:
    """The permission class has refused everybody else."""
    user = request.user
    assert isinstance(user, User)
    return user
