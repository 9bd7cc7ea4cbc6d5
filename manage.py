#!/usr/bin/env python
"""The command line. Where no database or Redis is named, the embedded ones serve for the length of the command."""

import json
import os
import sys
from pathlib import Path

WITHOUT_SERVERS = {"help", "version", "--help", "-h", "--version", "makemessages", "compilemessages", "collectstatic",
                   "simulate_exchange", "run_scenario"}  # fmt: skip


def join_running_demo() -> None:
    """Commands given while a demo runs in this clone are about that demo."""
    try:
        card = json.loads((Path(__file__).parent / ".var" / "demo" / "desk.json").read_text())
        os.kill(card["pid"], 0)
    except (OSError, ValueError, KeyError):
        return
    os.environ.update(card["environment"])


def places_a_plan(files: list[str]) -> bool:
    """A scenario file that does is played with a database; the others need no server at all."""
    texts = [Path(name).read_text(errors="replace") for name in files if Path(name).is_file()]
    return any(line.startswith("plan:") for text in texts for line in text.splitlines())


def main() -> int:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "avigrid.settings.dev")
    command = sys.argv[1] if len(sys.argv) > 1 else "help"
    if command in ("demo", "smoke"):
        os.environ["AVIGRID_DEMO"] = "true"
        os.environ["AVIGRID_REDIS_PREFIX"] = f"avigrid-{command}-{os.getpid()}"  # nothing of an earlier desk is met
    elif not os.environ.get("DATABASE_URL"):
        join_running_demo()
    offline = command in WITHOUT_SERVERS or "--help" in sys.argv or "-h" in sys.argv
    if command == "run_scenario" and places_a_plan(sys.argv[2:]):
        offline = False
    if not offline and os.environ["DJANGO_SETTINGS_MODULE"].endswith(".dev"):
        from avigrid.common import embedded

        try:
            embedded.ensure()
        except embedded.EmbeddedUnavailable as error:
            print(error, file=sys.stderr)  # noqa: T201
            return 2
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)
    return 0


if __name__ == "__main__":
    sys.exit(main())
