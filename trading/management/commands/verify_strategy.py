"""`manage.py verify_strategy`: does the strategy look ahead, lean on its warm-up, or decide otherwise when replayed?"""

import sys
from argparse import ArgumentParser
from decimal import Decimal, InvalidOperation
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from avigrid.kernel.errors import AviGridError, Rejected
from avigrid.kernel.instrument import FeeRates
from trading.backtest.bias import check_lookahead, check_warm_up
from trading.management.replay_options import (
    add_config_options,
    add_data_options,
    config_from,
    load,
    range_from,
)

HIGHEST_FEE = Decimal("0.01")


class Command(BaseCommand):
    help = (
        "Check for lookahead and warm-up bias on bars (files or stored), then make every stored decision of the range "
        "again and compare. Exit code 1 where something differs. Example: manage.py verify_strategy --symbol BTCUSDT "
        "--from 2026-07-01"
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        add_data_options(parser)
        add_config_options(parser)
        parser.add_argument("--no-parity", action="store_true", help="only the bias checks (needs no database)")
        parser.add_argument("--taker", default="0.00055", help="taker fee the decisions were made with (0.00055)")
        parser.add_argument("--maker", default="0.0002", help="maker fee the decisions were made with (0.0002)")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            fees = FeeRates(_rate(options, "taker"), _rate(options, "maker"))
            is_clean = self._bias(options)
            if not options["no_parity"]:
                is_clean = self._parity(options, fees) and is_clean
        except AviGridError as error:
            raise CommandError(f"{error.message} ({error.code})") from error
        if not is_clean:
            sys.exit(1)

    def _bias(self, options: dict[str, Any]) -> bool:
        config = config_from(options)
        is_clean = True
        for data, _ in load(options, config):
            for finding in (check_lookahead(data, config), check_warm_up(data, config)):
                self.stdout.write(f"{data.symbol} {finding.name}: {finding.sentence}")
                is_clean = is_clean and finding.is_clean
        return is_clean

    def _parity(self, options: dict[str, Any], fees: FeeRates) -> bool:
        from trading.services.parity import parity_check

        first, last = range_from(options)
        found = parity_check(
            from_ms=first,
            to_ms_=last,
            symbols=tuple(options["symbol"]),
            fees=fees,
        )
        self.stdout.write(
            f"parity: {found.decisions} stored decisions and {found.signals} signals made again, "
            f"{len(found.mismatches)} differ"
        )
        for mismatch in found.mismatches[:20]:
            self.stdout.write(f"  {mismatch.symbol} {mismatch.bar_start_ms}: {mismatch.what}")
        return not found.mismatches


def _rate(options: dict[str, Any], name: str) -> Decimal:
    try:
        rate = Decimal(options[name])
    except InvalidOperation:
        rate = Decimal("NaN")
    if not rate.is_finite() or abs(rate) > HIGHEST_FEE:
        raise Rejected(
            f"--{name} must be a rate from -{HIGHEST_FEE} to {HIGHEST_FEE} (0.00055 is 5.5 bps), got {options[name]}",
            code="bad_number",
        )
    return rate
