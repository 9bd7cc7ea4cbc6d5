"""Set somebody's password from the machine itself: audited, and every session and token of theirs ends."""

import getpass
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.selectors.people import user_by_email
from accounts.services.links import password_set

_TRIES = 3


class Command(BaseCommand):
    help = (
        "Set a password and end every session and token of that person. "
        "Example: manage.py changepassword you@desk.example"
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("email")

    def handle(self, *args: Any, email: str, **options: Any) -> None:
        user = user_by_email(email)
        if user is None:
            raise CommandError("There is no user with this e-mail address.")
        for _ in range(_TRIES):
            new = getpass.getpass("New password: ")
            if new != getpass.getpass("Again: "):
                self.stderr.write("The two passwords differ.")
                continue
            try:
                password_set(user=user, new=new, actor="command")
            except ValidationError as weak:
                self.stderr.write("\n".join(weak.messages))
                continue
            self.stdout.write(f"The password of {user.email} is set; every session and token of theirs has ended.")
            return
        raise CommandError("Nothing was changed.")
