"""Who may do what: the table, the decision, and how each kind of door asks.

Pages: `requires`, `RequiresMixin`. Sockets: `socket_role`, `socket_answer`. API: `api.ApiPermission`.
"""

from accounts.permissions.decide import Answer, Visitor, decide
from accounts.permissions.http import RequiresMixin, otp_was_fresh, requires
from accounts.permissions.sockets import socket_answer, socket_role, socket_visitor
from accounts.permissions.table import ACTIONS, Action, Door, action_named

__all__ = [
    "ACTIONS",
    "Action",
    "Answer",
    "Door",
    "RequiresMixin",
    "Visitor",
    "action_named",
    "decide",
    "otp_was_fresh",
    "requires",
    "socket_answer",
    "socket_role",
    "socket_visitor",
]
