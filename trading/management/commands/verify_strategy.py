"""`manage.py verify_strategy`: does the strategy look ahead, lean on its warm-up, or decide otherwise when replayed?"""

import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand
from django.db import DatabaseError

from avigrid.kernel.errors import Rejected
from avigrid.kernel.instrument import FeeRates
from trading.backtest.bias import check_lookahead, check_warm_up
from trading.management.replay_options import (
    add_config_options,
    add_data_options,
    fees_from,
    load,
    numbers_in_use,
    range_from,
    spoken_errors,
)

CLEAN, DIFFERS, NOT_CHECKED = 0, 1, 2


class Command(BaseCommand):
    help = (
        "Check for lookahead and warm-up bias on bars (files or stored), then make every stored decision of the range "
        "again, from the live window and on the backtest's path, and compare. With the numbers of the active version "
        "unless --config says otherwise. Exit code 1 where something differs, 2 where something could not be checked. "
        "Example: manage.py verify_strategy --symbol BTCUSDT --from 2026-07-01"
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        add_data_options(parser)
        add_config_options(parser)
        parser.add_argument(
            "--no-parity", action="store_true", help="only the bias checks (needs no database with --file)"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        with spoken_errors():
            fees = fees_from(options)
            codes = self._bias(options, fees)
            if not options["no_parity"]:
                codes.add(self._parity(options, fees))
        codes.discard(CLEAN)
        if codes:
            sys.exit(min(codes))

    def _bias(self, options: dict[str, Any], fees: FeeRates) -> set[int]:
        numbers = numbers_in_use(options)
        config = numbers.config
        self.stdout.write(numbers.sentence)
        codes = set()
        for data, _ in load(options, config):
            for finding in (check_lookahead(data, config, fees=fees), check_warm_up(data, config, fees=fees)):
                self.stdout.write(f"{data.symbol} {finding.name}: {finding.sentence}")
                codes.add(DIFFERS if not finding.is_clean else CLEAN if finding.is_checked else NOT_CHECKED)
        return codes

    def _parity(self, options: dict[str, Any], fees: FeeRates) -> int:
        from trading.services.parity import parity_check

        first, last = range_from(options)
        try:
            found = parity_check(from_ms=first, to_ms_=last, symbols=tuple(options["symbol"]), fees=fees)
        except DatabaseError as error:
            raise Rejected(
                f"the stored decisions cannot be read ({str(error).splitlines()[0]}); run manage.py migrate first, or "
                "leave them out with --no-parity",
                code="no_stored_decisions",
            ) from error
        if not found.decisions:
            self.stdout.write("parity: nothing checked, no decision of these symbols and this range is stored")
            return NOT_CHECKED
        self.stdout.write(
            f"parity: {found.decisions} stored decisions and {found.signals} signals made again, "
            f"{len(found.mismatches)} differ from the live window's; of {found.replay.compared} "
            f"{len(found.replay.mismatches)} differ from a replay's"
        )
        if found.replay.left_out:
            self.stdout.write(f"  {found.replay.left_out} not replayed: decided on less history than is stored by now")
        for mismatch in (*found.mismatches[:20], *found.replay.mismatches[:20]):
            self.stdout.write(f"  {mismatch.symbol} {mismatch.bar_start_ms}: {mismatch.what}")
        return CLEAN if found.is_clean else DIFFERS
