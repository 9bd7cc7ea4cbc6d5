"""What a loosening needs: admin, one-time password, reason. The door checks the password, this the rest."""

from typing import TYPE_CHECKING

from accounts.core.roles import Role
from avigrid.kernel.errors import Rejected

if TYPE_CHECKING:
    from accounts.models import User


def require_admin(actor: "User | str", *, reason: str, otp_used: bool) -> None:
    """A process name as actor is the command line: whoever has the shell has the database too."""
    if not otp_used:
        raise Rejected("This needs a one-time password.", code="otp_needed")
    if not reason.strip():
        raise Rejected("This needs a reason.", code="reason_needed")
    if not isinstance(actor, str) and actor.role is not Role.ADMIN:
        raise Rejected("This needs the role admin.", code="admin_needed")
