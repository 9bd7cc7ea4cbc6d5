"""Deterministic identities. A retry reuses its id; that is what makes sending twice harmless."""

import re

_ORDER_LINK_ID = re.compile(r"^[A-Za-z0-9_-]{1,36}$")


def order_link_id(*, installation: str, plan_id: int, role: str, rung: int, cycle: int, attempt: int) -> str:
    """`{installation}-{plan}-{role letter}{rung}-{cycle}-{attempt}`, at most 36 characters [A-Za-z0-9_-].

    The prefix tells our orders from everybody else's; the rest names the plan's step, so that the same step
    always has the same id. Raises ValueError where it would not fit.
    """
    text = f"{installation}-{plan_id}-{role[0]}{rung}-{cycle}-{attempt}"
    if not _ORDER_LINK_ID.match(text):
        raise ValueError(f"order link id {text!r} must be 1..36 characters of A-Z a-z 0-9 _ -")
    return text


def is_ours(order_link_id: str, installation: str) -> bool:
    return order_link_id.startswith(f"{installation}-")
