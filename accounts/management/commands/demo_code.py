"""Show the one-time code of a demo user."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from accounts.services.demo import DOMAIN, demo_code
from avigrid.kernel.errors import AviGridError


class Command(BaseCommand):
    help = (
        "Print the code a demo user's device shows now; refused outside the demo. Example: manage.py demo_code trader"
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("who", help="viewer, trader, admin, or an e-mail address")

    def handle(self, *args: Any, who: str, **options: Any) -> None:
        email = who if "@" in who else f"{who}@{DOMAIN}"
        try:
            self.stdout.write(demo_code(email=email, now_s=int(timezone.now().timestamp())))
        except AviGridError as error:
            raise CommandError(f"{error.message} ({error.code})") from None
