"""`manage.py doctor`: what a new installation can get wrong, and how to mend it."""

import json
import sys
from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand

from trading.engine.diagnosis import Check, Level, exit_code
from trading.runtime.doctor import examine

_MARKS = {Level.OK: "OK  ", Level.INFO: "info", Level.SKIPPED: "-   ", Level.WARN: "WARN", Level.FAIL: "FAIL"}


class Command(BaseCommand):
    help = (
        "Examine this installation: servers, secrets, exchange, keys, processes. Exit code: 0 good, 1 warnings, "
        "2 something is broken. Example: manage.py doctor --json"
    )
    requires_system_checks: list[str] = []
    requires_migrations_checks = False

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="one JSON object instead of lines")
        parser.add_argument("--no-exchange", action="store_true", help="open no key and ask no exchange")

    def handle(self, *args: Any, **options: Any) -> None:
        checks = examine(ask_exchange=not options["no_exchange"])
        code = exit_code(checks)
        if options["json"]:
            rows = [{**asdict(check), "level": check.level.value} for check in checks]
            self.stdout.write(json.dumps({"exit_code": code, "checks": rows}, indent=1))
        else:
            self._print(checks)
        sys.exit(code)

    def _print(self, checks: list[Check]) -> None:
        styles = {Level.WARN: self.style.WARNING, Level.FAIL: self.style.ERROR, Level.OK: self.style.SUCCESS}
        for check in checks:
            mark = styles.get(check.level, str)(_MARKS[check.level])
            self.stdout.write(f"{mark} {check.sentence}" + (f" {check.mend}" if check.mend else ""))
        count = {level: sum(check.level is level for check in checks) for level in (Level.FAIL, Level.WARN)}
        self.stdout.write(f"{len(checks)} checks, {count[Level.FAIL]} failed, {count[Level.WARN]} warnings.")
