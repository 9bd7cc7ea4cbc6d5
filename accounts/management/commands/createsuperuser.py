"""The first admin, made from the machine itself."""

import os
from getpass import getpass
from typing import Any

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.core.roles import Role
from accounts.services.users import user_create
from avigrid.kernel.errors import AviGridError

_TRIES = 3


class Command(BaseCommand):
    help = (
        "Make an admin; with --noinput the password comes from DJANGO_SUPERUSER_PASSWORD. "
        "Example: manage.py createsuperuser --email you@desk.example"
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--email", default=os.environ.get("DJANGO_SUPERUSER_EMAIL", ""))
        parser.add_argument("--noinput", "--no-input", action="store_true", dest="silent", help="do not ask")

    def handle(self, *args: Any, email: str, silent: bool, **options: Any) -> None:
        if silent and not (email and os.environ.get("DJANGO_SUPERUSER_PASSWORD")):
            raise CommandError("Without asking it takes --email and DJANGO_SUPERUSER_PASSWORD.")
        email = email or input("E-mail: ")
        try:
            password = _checked(os.environ["DJANGO_SUPERUSER_PASSWORD"]) if silent else self._asked()
            user = user_create(email=email, role=Role.ADMIN, actor="command", password=password)
        except ValidationError as weak:
            raise CommandError(" ".join(weak.messages)) from None
        except AviGridError as error:
            raise CommandError(f"{error.message} ({error.code})") from None
        self.stdout.write(f"{user.email} is an admin; the first login asks for a one-time-password device.")

    def _asked(self) -> str:
        for _ in range(_TRIES):
            password = getpass("Password: ")
            if password != getpass("Again: "):
                self.stderr.write("The two passwords differ.")
                continue
            try:
                return _checked(password)
            except ValidationError as weak:
                self.stderr.write("\n".join(weak.messages))
        raise CommandError("Nothing was changed.")


def _checked(password: str) -> str:
    validate_password(password)
    return password
