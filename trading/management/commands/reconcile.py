"""`manage.py reconcile --account ID`: compare books and venue now, repair, print what was found."""

import json
import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from avigrid.kernel.errors import AviGridError
from trading.models import ReconciliationFinding
from trading.runtime.context import Context
from trading.runtime.hearing import Hearing
from trading.runtime.prices import MarketPrices
from trading.runtime.reconciliation import Reconciler
from trading.runtime.venue import account_of, open_venue

_CODES = {"info": 0, "warning": 1, "critical": 2}
INCOMPLETE = 4
BUSY = 5


class Command(BaseCommand):
    help = (
        "Compare books and venue, repair what can be explained, print the findings as JSON lines. Exit code: 0 good, "
        "1 warnings, 2 critical, 4 an answer was missing, 5 another run is at work. "
        "Example: manage.py reconcile --account 1"
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--account", type=int, required=True, help="number of the trading account")

    def handle(self, *args: Any, **options: Any) -> None:
        account_id = options["account"]
        try:
            account = account_of(account_id)
            venue = open_venue(account_id, process="reconcile")
        except AviGridError as error:
            self.stderr.write(f"{error.message} ({error.code})")
            sys.exit(INCOMPLETE)
        context = Context(
            account_id=account_id,
            environment=account.environment,
            hedge_mode=account.hedge_mode,
            gateway=venue.gateway,
            market=venue.market,
            clock=venue.clock,
            prices=MarketPrices(venue.market),
        )
        newest = ReconciliationFinding.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
        result = Reconciler(context, Hearing(context)).run("manual")
        if result.status == "busy":
            self.stderr.write("Another reconciliation of this account is at work.")
            sys.exit(BUSY)
        rows = ReconciliationFinding.objects.filter(account_id=account_id).order_by("pk")
        shown = [row for row in rows if row.pk > newest or row.is_open]
        for row in shown:
            self.stdout.write(
                json.dumps(
                    {
                        "severity": row.severity,
                        "kind": row.kind,
                        "subject": row.subject,
                        "sentence": row.sentence,
                        "action": row.action,
                        "open": row.is_open,
                    }
                )
            )
        self.stdout.write(json.dumps({"status": result.status, "error": result.error, "findings": len(shown)}))
        if result.status == "incomplete":
            sys.exit(INCOMPLETE)
        sys.exit(max((_CODES[row.severity] for row in shown), default=0))
