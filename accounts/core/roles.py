"""The three roles, each including the one before it."""

from enum import StrEnum


class Role(StrEnum):
    """Stored as the name of a Django group."""

    VIEWER = "viewer"
    TRADER = "trader"
    ADMIN = "admin"

    @property
    def rank(self) -> int:
        return _ORDER.index(self)

    def includes(self, other: "Role") -> bool:
        return self.rank >= other.rank

    @property
    def needs_device(self) -> bool:
        """Whoever can move money or settings must hold a one-time-password device."""
        return self.includes(Role.TRADER)


_ORDER = (Role.VIEWER, Role.TRADER, Role.ADMIN)


def highest(names: list[str]) -> Role | None:
    """The strongest role among group names; None where none of them is a role."""
    held = [role for role in _ORDER if role.value in names]
    return held[-1] if held else None
