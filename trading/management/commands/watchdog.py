"""`manage.py watchdog --account ID`: halts the account when our own processes fall silent."""

import signal
import threading
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from accounts.ciphers import keep_token
from accounts.services.processes import process_audited
from avigrid.common import metrics
from trading.runtime.watchdog import SILENCE_S, Watchdog


class Command(BaseCommand):
    help = "Halt the account when market data or execution fall silent. Example: manage.py watchdog --account 1"

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--account", type=int, required=True, help="number of the trading account")
        parser.add_argument("--silence", type=float, default=SILENCE_S, help="seconds without a sign of life")

    def handle(self, *args: Any, **options: Any) -> None:
        stopping = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stopping.set())
        metrics.serve()
        keep_token()
        with process_audited(f"watchdog:{options['account']}"):
            Watchdog(options["account"], silence_s=options["silence"]).run(until=stopping.is_set)
