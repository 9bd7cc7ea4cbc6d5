#!/usr/bin/env python
"""The command line. Where no database or Redis is named, the embedded ones serve for the length of the command."""

import os
import sys

WITHOUT_SERVERS = {"help", "version", "--help", "-h", "--version", "makemessages", "compilemessages", "collectstatic",
                   "simulate_exchange", "run_scenario"}  # fmt: skip


def main() -> int:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "avigrid.settings.dev")
    command = sys.argv[1] if len(sys.argv) > 1 else "help"
    if command in ("demo", "smoke"):
        os.environ["AVIGRID_DEMO"] = "true"
        os.environ["AVIGRID_REDIS_PREFIX"] = f"avigrid-{command}-{os.getpid()}"  # nothing of an earlier desk is met
    offline = command in WITHOUT_SERVERS or "--help" in sys.argv or "-h" in sys.argv
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
