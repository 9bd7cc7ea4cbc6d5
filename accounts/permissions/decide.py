"""The decision itself: may this person, in this state, do this action?"""

from dataclasses import dataclass
from enum import StrEnum

from django.contrib.auth.models import AnonymousUser

from accounts.models import User
from accounts.permissions.table import Action, Door
from accounts.selectors.people import user_role


class Answer(StrEnum):
    ALLOW = "allow"
    LOGIN = "not_authenticated"
    ROLE = "permission_denied"
    DEVICE = "device_required"
    """The role demands a second factor this session was not opened with."""
    CODE = "fresh_code_required"


@dataclass(frozen=True, slots=True)
class Visitor:
    """`code_age_s`: seconds since this session or token last proved the second factor with a code; None if never."""

    user: User | AnonymousUser
    verified: bool
    code_age_s: float | None = None


def decide(visitor: Visitor, action: Action) -> Answer:
    if action.door is Door.PUBLIC:
        return Answer.ALLOW
    if not visitor.user.is_authenticated or not visitor.user.is_active:
        return Answer.LOGIN
    if action.door is Door.SELF:
        return Answer.ALLOW
    role = user_role(visitor.user)
    if role is not None and role.needs_device and not visitor.verified:
        return Answer.DEVICE
    if role is None or action.least is None or not role.includes(action.least):
        return Answer.ROLE
    if action.code_within_s is None:
        return Answer.ALLOW
    fresh = visitor.code_age_s is not None and visitor.code_age_s <= action.code_within_s
    return Answer.ALLOW if fresh else Answer.CODE
