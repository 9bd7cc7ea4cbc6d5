"""`manage.py halt`: no new risk, resting entries cancelled. Works with web, Redis and Celery down."""

import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from accounts.selectors.trading_accounts import trading_accounts
from avigrid.kernel.errors import AviGridError
from risk.core.states import StateSource
from trading.runtime.kill import halt_now


class Command(BaseCommand):
    help = (
        "Halt trading: no new risk, our resting entries cancelled at the venue; exits and stops stay. "
        "Example: manage.py halt --account 1 --reason 'spread looks wrong'"
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--account", type=int, help="number of the trading account; default: all active ones")
        parser.add_argument("--symbol", help="only this symbol")
        parser.add_argument("--reason", required=True, help="kept in the audit trail")

    def handle(self, *args: Any, **options: Any) -> None:
        ids = [options["account"]] if options["account"] else [row.pk for row in trading_accounts()]
        failed = False
        for account_id in ids:
            try:
                outcome = halt_now(
                    account_id=account_id,
                    symbol=options["symbol"],
                    reason=options["reason"],
                    actor="command",
                    source=StateSource.COMMAND,
                )
            except AviGridError as error:
                self.stderr.write(f"account {account_id}: {error.message} ({error.code})")
                failed = True
                continue
            what = "no entries rest at the venue" if outcome.done else "this is NOT DONE"
            self.stdout.write(f"account {account_id}: halted, {outcome.entries_cancelled} entries cancelled, {what}")
            for text in (*outcome.errors, *outcome.unwritten):
                self.stderr.write(f"account {account_id}: {text}")
            failed = failed or not outcome.done
        if failed:
            sys.exit(2)
