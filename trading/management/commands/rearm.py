"""`manage.py rearm`: the way back from HALTED or REDUCING, for an admin with a one-time password and a reason."""

import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from accounts.selectors.people import user_by_email
from accounts.services.second_factor import code_prove
from avigrid.kernel.errors import AviGridError
from risk.core.states import State
from risk.services.states import rearm
from trading.services.locking import wake_execution


class Command(BaseCommand):
    help = (
        "Re-arm trading. Example: manage.py rearm --account 1 --user admin@example.org --code 123456 --reason checked"
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--account", type=int, required=True, help="number of the trading account")
        parser.add_argument("--symbol", help="only this symbol")
        parser.add_argument("--to", choices=("active", "reducing"), default="active")
        parser.add_argument("--user", required=True, help="e-mail address of an admin")
        parser.add_argument("--code", required=True, help="one-time password of that admin")
        parser.add_argument("--reason", required=True, help="kept in the audit trail")

    def handle(self, *args: Any, **options: Any) -> None:
        user = user_by_email(options["user"])
        try:
            if user is None or not code_prove(user=user, code=options["code"], request=None, step="command rearm"):
                self.stderr.write("This user and one-time password do not match.")
                sys.exit(2)
            change = rearm(
                account_id=options["account"],
                symbol=options["symbol"],
                to=State(options["to"]),
                reason=options["reason"],
                actor=user,
                otp_used=True,
            )
        except AviGridError as error:
            self.stderr.write(f"{error.message} ({error.code})")
            sys.exit(2)
        wake_execution(options["account"], "plan")
        self.stdout.write("It stood so already." if change is None else f"Now {change.after}, was {change.before}.")
