"""`manage.py flatten`: everything closed, verified at the venue, and halted. Works with web, Redis and Celery down."""

import sys
from argparse import ArgumentParser
from functools import partial
from typing import Any

from django.core.management.base import BaseCommand

from accounts.selectors.trading_accounts import trading_accounts
from avigrid.kernel.errors import AviGridError
from trading.runtime.kill import flatten_now


class Command(BaseCommand):
    help = (
        "Close every position by reduce-only orders, cancel entries, end in HALTED; exits 0 once the venue says flat. "
        "Example: manage.py flatten --account 1 --reason 'leaving the market'"
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--account", type=int, help="number of the trading account; default: all active ones")
        parser.add_argument("--symbol", help="only this symbol")
        parser.add_argument("--reason", required=True, help="kept in the audit trail")
        parser.add_argument("--timeout", type=float, default=120.0, help="seconds to go on trying (default 120)")

    def handle(self, *args: Any, **options: Any) -> None:
        ids = [options["account"]] if options["account"] else [row.pk for row in trading_accounts()]
        failed = False
        for account_id in ids:
            try:
                outcome = flatten_now(
                    account_id=account_id,
                    symbol=options["symbol"],
                    reason=options["reason"],
                    actor="command",
                    timeout_s=options["timeout"],
                    say=partial(self._say, account_id),
                )
            except AviGridError as error:
                self.stderr.write(f"account {account_id}: {error.message} ({error.code})")
                failed = True
                continue
            except KeyboardInterrupt:
                self.stderr.write(f"account {account_id}: interrupted, NOT KNOWN TO BE FLAT")
                sys.exit(130)
            if outcome.done:
                self.stdout.write(f"account {account_id}: flat, says the venue; halted")
            else:
                self.stderr.write(f"account {account_id}: NOT FLAT: {', '.join(outcome.still_held) or 'no answer'}")
            for text in (*dict.fromkeys(outcome.errors), *outcome.unwritten):
                self.stderr.write(f"account {account_id}: {text}")
            failed = failed or not outcome.done
        if failed:
            sys.exit(2)

    def _say(self, account_id: int, text: str) -> None:
        self.stdout.write(f"account {account_id}: {text}")
