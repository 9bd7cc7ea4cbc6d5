"""Each role includes the one before it."""

from accounts.core.roles import Role, highest


def test_order() -> None:
    assert Role.ADMIN.includes(Role.TRADER)
    assert Role.TRADER.includes(Role.VIEWER)
    assert not Role.VIEWER.includes(Role.TRADER)
    assert [role for role in Role if role.needs_device] == [Role.TRADER, Role.ADMIN]


def test_highest() -> None:
    assert highest(["viewer", "something else", "admin"]) is Role.ADMIN
    assert highest(["something else"]) is None
    assert highest([]) is None
