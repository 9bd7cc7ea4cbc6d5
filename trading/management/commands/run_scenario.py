"""`manage.py run_scenario FILE...`: the door to the scenario runner. Exit 0 when all held, 1 when not, 2 for a bad
file.
"""

import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand

from avigrid.exchange.simulator.scenarios.document import BadScenario, load
from avigrid.exchange.simulator.scenarios.runner import run


class Command(BaseCommand):
    help = "Runs scenario files against the simulated exchange, stepped and in process, and prints what held."
    requires_system_checks: list[str] = []  # noqa: RUF012 - Django's own declaration

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
        parser.add_argument("--quiet", action="store_true", help="print only what did not hold")

    def handle(self, *args: Any, **options: Any) -> None:
        failed = 0
        for path in options["files"]:
            try:
                outcome = run(load(path))
            except BadScenario as error:
                self.stderr.write(str(error))
                sys.exit(2)
            failed += not outcome.held
            verdict = "held" if outcome.held else "DID NOT HOLD"
            self.stdout.write(f"{outcome.scenario.name}: {verdict} ({len(outcome.findings)} checks)")
            for finding in outcome.findings:
                if not (options["quiet"] and finding.held):
                    self.stdout.write(str(finding))
        if failed:
            self.stderr.write(f"{failed} of {len(options['files'])} scenarios did not hold")
            sys.exit(1)
