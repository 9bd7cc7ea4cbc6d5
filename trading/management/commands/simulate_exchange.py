"""`manage.py simulate_exchange`: the door to the simulated Bybit."""

import sys
from argparse import ArgumentParser, Namespace
from typing import Any

from django.core.management.base import BaseCommand

from avigrid.exchange.simulator import launch


class Command(BaseCommand):
    help = "Runs a simulated Bybit V5 exchange (REST and sockets on one port) until interrupted."
    requires_system_checks: list[str] = []  # noqa: RUF012 - Django's own declaration

    def add_arguments(self, parser: ArgumentParser) -> None:
        launch.add_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        code = launch.run(Namespace(**options))
        if code:
            sys.exit(code)
