"""Erase a person's data; what they did stays in the audit trail under a pseudonym."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.selectors.people import user_by_email
from accounts.services.users import user_anonymize
from avigrid.kernel.errors import AviGridError


class Command(BaseCommand):
    help = (
        "Replace a user's personal data by a pseudonym and end their access. It cannot be undone. "
        "Example: manage.py anonymize_user ann@desk.example --reason 'left the firm' --yes"
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("email")
        parser.add_argument("--reason", default="", help="kept in the audit trail; write no personal data here")
        parser.add_argument("--yes", action="store_true", help="do not ask")

    def handle(self, *args: Any, email: str, reason: str, yes: bool, **options: Any) -> None:
        user = user_by_email(email)
        if user is None:
            raise CommandError("There is no user with this e-mail address.")
        if not yes and input(f"Erase {user.email}? This cannot be undone. [yes/no] ") != "yes":
            raise CommandError("Nothing was changed.", returncode=3)
        try:
            pseudonym = user_anonymize(user=user, actor="command", reason=reason)
        except AviGridError as error:
            raise CommandError(f"{error.message} ({error.code})") from None
        self.stdout.write(f"Erased; the audit trail knows this person as {pseudonym}.")
