"""`manage.py smoke`: the main job, headless, on real processes; one JSON object; exit 1 where a step is missing."""

import json
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from avigrid.common.embedded import EmbeddedUnavailable
from trading.management.commands.demo import add_desk_arguments, desk_options
from trading.runtime.launch import LaunchError
from trading.runtime.smoke import SmokeRun


class Command(BaseCommand):
    help = (
        "Run market data -> decision -> signal -> placement -> fill -> protection -> exit -> reconciliation once and "
        "compare the books with the exchange. Example: manage.py smoke --source synthetic --minutes 240"
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        add_desk_arguments(parser)
        parser.set_defaults(speed=60.0)
        parser.add_argument(
            "--minutes", type=float, default=240.0, help="market minutes to wait for signal and exit (default 240)"
        )
        parser.add_argument("--plans", type=int, default=1, help="how many signals to place (default 1)")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["minutes"] <= 0 or options["plans"] < 1:
            raise CommandError("--minutes and --plans must be positive.", returncode=2)
        run = SmokeRun(
            desk_options(options, kind="smoke", port=0),
            minutes=options["minutes"],
            plans_wanted=options["plans"],
            say=lambda text: print(text, file=sys.stderr),
        )
        try:
            report = run.run()
        except (LaunchError, EmbeddedUnavailable) as error:
            raise CommandError(str(error), returncode=2) from error
        self.stdout.write(json.dumps(report, indent=2, default=str))
        if report["failures"]:
            raise SystemExit(1)
