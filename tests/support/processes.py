"""Real processes of ours beside a test: on the test's database, against a simulated exchange of their own."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from django.db import connection

ROOT = Path(__file__).resolve().parents[2]


def environment(**more: str) -> dict[str, str]:
    """Of a child that shall work in the database of this test."""
    entry = connection.settings_dict
    where = f"{entry['HOST']}:{entry['PORT']}" if entry["PORT"] else ""
    query = "" if where else f"?host={entry['HOST']}"
    person = f"{entry['USER']}:{entry['PASSWORD']}" if entry["PASSWORD"] else entry["USER"]
    url = f"postgresql://{person}@{where}/{entry['NAME']}{query}"
    return os.environ | {"DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "avigrid.settings.test"} | more


def manage(*arguments: str, env: dict[str, str]) -> subprocess.Popen[str]:
    line = [sys.executable, "-m", "django", *arguments]
    return subprocess.Popen(line, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)


@contextmanager
def exchange_process(*arguments: str) -> Iterator[str]:
    """The address of a simulated exchange that runs until the end of the block."""
    line = [sys.executable, "-m", "avigrid.exchange.simulator", "--port", "0", *arguments]
    process = subprocess.Popen(line, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        found = re.search(r"http://127\.0\.0\.1:\d+", process.stdout.readline())
        assert found
        yield found.group(0)
    finally:
        process.kill()
        process.wait()
