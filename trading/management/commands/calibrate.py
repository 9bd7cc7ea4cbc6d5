"""`manage.py calibrate`: theta per UTC hour by walking forward; prints the table, writes the run as JSON."""

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from avigrid.kernel.errors import AviGridError
from trading.backtest.report import utc
from trading.backtest.walk_forward import WalkForward, calibrate, heat_map
from trading.management.replay_options import (
    add_config_options,
    add_data_options,
    config_from,
    load,
    refuse_where_off,
    settings_from,
)


class Command(BaseCommand):
    help = (
        "Calibrate theta(h). Example: manage.py calibrate --symbol BTCUSDT --symbol ETHUSDT --profile swing "
        "--out calibration.json --config-out calibrated.json"
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        add_data_options(parser)
        add_config_options(parser)
        parser.add_argument("--train-days", type=int, default=180)
        parser.add_argument("--test-days", type=int, default=30)
        parser.add_argument("--step-days", type=int, default=30)
        parser.add_argument("--out", metavar="JSON", help="the whole run")
        parser.add_argument("--config-out", metavar="JSON", help="the config with the calibrated hours")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            self._run(options)
        except AviGridError as error:
            raise CommandError(f"{error.message} ({error.code})") from error

    def _run(self, options: dict[str, Any]) -> None:
        refuse_where_off()
        for name in ("train_days", "test_days", "step_days"):
            if options[name] < 1:
                raise CommandError(f"--{name.replace('_', '-')} must be at least 1, got {options[name]}")
        config = config_from(options)
        walk = WalkForward(
            train_days=options["train_days"],
            test_days=options["test_days"],
            step_days=options["step_days"],
            short_train_days=min(90, options["train_days"]),
        )
        found = calibrate(load(options, config), config, settings=settings_from(options), walk=walk)
        if options["out"]:
            Path(options["out"]).write_text(found.to_json())
        if options["config_out"]:
            text = json.dumps(found.apply_to(config).to_mapping(), sort_keys=True, indent=1)
            Path(options["config_out"]).write_text(text + "\n")
        self.stdout.write(
            f"{', '.join(found.symbols)}: {len(found.folds)} folds from {utc(found.folds[0].train_from_ms)} to "
            f"{utc(found.folds[-1].test_to_ms)}, PSI of the newest month {found.recent_psi:.3f}, "
            f"data {found.data_hash}, config {found.config_hash}"
        )
        steady = heat_map(found)
        for hour in found.hours:
            folds = " ".join("-" if theta is None else f"{theta:.2f}" for theta in steady[hour.hour])
            self.stdout.write(
                f"{hour.hour:02d}h theta {hour.theta:.2f}{' dead' if hour.is_dead else ''}  "
                f"PF in {_shown(hour.pf_in)} ({hour.trades_in}), out {_shown(hour.pf_out)} ({hour.trades_out})  "
                f"folds {folds}  {hour.why}"
            )
        dead = sum(hour.is_dead for hour in found.hours)
        self.stdout.write(f"accepted {sum(hour.is_accepted for hour in found.hours)} hours, dead {dead} of 24")


def _shown(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
