"""`manage.py stream_account --account ID`: the execution process of one trading account."""

import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from accounts.ciphers import keep_token
from accounts.services.processes import Life, process_audited
from avigrid.kernel.errors import AviGridError
from trading.runtime.execution import Execution, Exit
from trading.runtime.hang_limit import hang_limit


class Command(BaseCommand):
    help = (
        "Send this account's orders, book its fills, protect its positions. One at a time: a second one exits with "
        "code 3. Example: manage.py stream_account --account 1"
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--account", type=int, required=True, help="number of the trading account")

    def handle(self, *args: Any, **options: Any) -> None:
        with process_audited(f"execution:{options['account']}") as life:
            self._run(options["account"], life)

    def _run(self, account: int, life: Life) -> None:
        execution = Execution(account)
        execution.listen_to_signals()
        keep_token()
        try:
            with hang_limit():
                code = execution.run()
        except AviGridError as error:
            life.failed(error)
            self.stderr.write(f"{error.message} ({error.code})")
            sys.exit(Exit.FAILED)
        if code is Exit.LEASE_HELD:
            self.stderr.write(f"Another process trades account {account}; this one leaves it alone.")
        if code is not Exit.STOPPED:
            life.reason = code.name.lower()
            sys.exit(code)
