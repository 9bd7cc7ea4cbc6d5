"""`manage.py run_scenario FILE...`: the door to both kinds of scenarios. Exit 0 when all held, 1 when not, 2 for a bad
file.

A file with a `plan` is rehearsed over the wire with the execution code of production, in a database made for it and
dropped afterwards; every other file is played against the exchange alone, in process.
"""

import sys
from argparse import ArgumentParser
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from os import getpid
from pathlib import Path
from typing import Any

import structlog
from django.core.management.base import BaseCommand

from avigrid.exchange.simulator.scenarios import document, runner
from avigrid.exchange.simulator.scenarios.outcome import Finding
from avigrid.exchange.simulator.scenarios.reading import BadScenario
from trading.runtime.rehearsal import play
from trading.runtime.rehearsal.document import is_rehearsal
from trading.runtime.rehearsal.document import load as load_rehearsal
from trading.runtime.rehearsal.scratch import scratch_copy, scratch_server


class Command(BaseCommand):
    help = "Plays scenario files against the simulated exchange, stepped and fast, and prints what held."
    requires_system_checks: list[str] = []  # noqa: RUF012 - Django's own declaration

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
        parser.add_argument("--quiet", action="store_true", help="print only what did not hold")

    def handle(self, *args: Any, **options: Any) -> None:
        files: list[Path] = options["files"]
        quiet = bool(options["quiet"])
        failed = 0
        try:
            plans = [path for path in files if is_rehearsal(path)]
            with _place_for(plans):
                for number, path in enumerate(files):
                    held = self._rehearse(path, number, quiet) if path in plans else self._run(path, quiet)
                    failed += not held
        except BadScenario as error:
            self.stderr.write(str(error))
            sys.exit(2)
        if failed:
            self.stderr.write(f"{failed} of {len(files)} scenarios did not hold")
            sys.exit(1)

    def _run(self, path: Path, quiet: bool) -> bool:
        outcome = runner.run(document.load(path))
        return self._tell(outcome.played.name, outcome.findings, quiet)

    def _rehearse(self, path: Path, number: int, quiet: bool) -> bool:
        rehearsal = load_rehearsal(path)
        say: Callable[[str], None] = (lambda line: None) if quiet else self.stdout.write
        with scratch_copy(number):
            outcome = play.play(rehearsal, say=say)
        return self._tell(outcome.played.name, outcome.findings, quiet)

    def _tell(self, name: str, findings: Sequence[Finding], quiet: bool) -> bool:
        held = all(finding.held for finding in findings)
        self.stdout.write(f"{name}: {'held' if held else 'DID NOT HOLD'} ({len(findings)} checks)")
        for finding in findings:
            if not (quiet and finding.held):
                self.stdout.write(str(finding))
        return held


@contextmanager
def _place_for(plans: Sequence[Path]) -> Iterator[None]:
    """Nothing of it where only the exchange plays: that needs no database at all."""
    if not plans:
        yield
        return
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    with scratch_server(name=f"rehearsal_{getpid()}"):
        yield
