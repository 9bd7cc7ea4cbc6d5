"""Bring every stored secret under the newest key version."""

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from tqdm import tqdm

from accounts.ciphers.base import CipherError
from accounts.services.rewrap import secrets_rewrap


class Command(BaseCommand):
    help = (
        "Rewrap exchange and one-time-password secrets after a key rotation in Vault. Example: manage.py rewrap_secrets"
    )

    def handle(self, *args: Any, **options: Any) -> None:
        with tqdm(desc="rewrapping", unit=" secrets", disable=not sys.stderr.isatty()) as bar:
            try:
                result = secrets_rewrap(actor="command", progress=lambda done: bar.update(done - bar.n) and None)
            except CipherError as error:
                raise CommandError(f"{error.message} ({error.code}); rows done so far stay done.") from None
        self.stdout.write(f"{result.changed} rewrapped, {result.current} were current already.")
        if result.failed:
            raise CommandError("not rewrapped: " + ", ".join(result.failed))
