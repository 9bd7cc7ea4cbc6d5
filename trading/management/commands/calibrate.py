"""`manage.py calibrate`: theta per UTC hour by walking forward; prints the table, keeps the run, compares two."""

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from trading.backtest.request import WALK_FIELDS, read_walk
from trading.backtest.times import utc
from trading.backtest.walk_forward import Tested, calibrate, heat_map
from trading.management.replay_options import (
    add_config_options,
    add_data_options,
    counted,
    fee_params,
    load,
    numbers_from,
    range_from,
    refuse_unwritable,
    refuse_where_off,
    settings_from,
    spoken_errors,
)
from trading.selectors.research_comparison import compare_runs
from trading.services.calibrations import calibration_record


class Command(BaseCommand):
    help = (
        "Calibrate theta(h). Example: manage.py calibrate --symbol BTCUSDT --symbol ETHUSDT --profile swing "
        "--out calibration.json --config-out calibrated.json"
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        add_data_options(parser)
        add_config_options(parser)
        parser.add_argument("--train-days", type=counted, default=180)
        parser.add_argument("--test-days", type=counted, default=30)
        parser.add_argument("--step-days", type=counted, default=30)
        parser.add_argument("--theta", action="append", metavar="T", help="one to try; repeat (0.15 to 0.50)")
        parser.add_argument("--least-trades", type=int, metavar="N", help="in training, for a theta to be chosen (20)")
        parser.add_argument(
            "--least-trades-out", type=int, metavar="N", help="out of sample, for an hour to be accepted (10)"
        )
        parser.add_argument("--accept-pf", metavar="PF", help="out of sample, for an hour to be accepted (1.3)")
        parser.add_argument("--psi-limit", metavar="PSI", help="above it training is shortened to 90 days (0.2)")
        parser.add_argument(
            "--store", action="store_true", help="keep a run over files too; over stored bars it always is"
        )
        parser.add_argument("--compare", nargs=2, type=int, metavar="RUN", help="only show how two stored runs differ")
        parser.add_argument("--out", metavar="JSON", help="the whole run")
        parser.add_argument("--config-out", metavar="JSON", help="the config with the calibrated hours")

    def handle(self, *args: Any, **options: Any) -> None:
        with spoken_errors():
            self._run(options)

    def _run(self, options: dict[str, Any]) -> None:
        refuse_where_off()
        if options["compare"]:
            self._compare(*options["compare"])
            return
        refuse_unwritable(options, "out", "config_out")
        numbers = numbers_from(options)
        config = numbers.config
        self.stdout.write(numbers.sentence)
        first_ms, _ = range_from(options)
        walk = read_walk(_walk_params(options))
        found = calibrate(load(options, config), config, settings=settings_from(options), walk=walk, from_ms=first_ms)
        if options["store"] or not options["file"]:
            run = calibration_record(
                found=found, config=config, params=_params(options), actor="calibrate", now=timezone.now()
            )
            self.stdout.write(f"stored as run {run.pk}")
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
        if found.used_proxy:
            self.stdout.write("imbalance by bar proxy: no order book was recorded for some or all bars")
        steady = heat_map(found)
        for hour in found.hours:
            folds = " ".join("-" if theta is None else f"{theta:.2f}" for theta in steady[hour.hour])
            self.stdout.write(
                f"{hour.hour:02d}h theta {hour.theta:.2f}{' dead' if hour.is_dead else ''}  "
                f"PF in {_shown(hour.pf_in)} ({hour.trades_in}), out {_shown(hour.pf_out)} ({hour.trades_out})  "
                f"folds {folds}  {hour.why}"
            )
        dead = sum(hour.is_dead for hour in found.hours)
        self._tested("the thetas training chose", found.tested)
        self._tested(f"theta {walk.fallback_theta:g} in every hour", found.tested_usual)
        self.stdout.write(f"accepted {sum(hour.is_accepted for hour in found.hours)} hours, dead {dead} of 24")

    def _tested(self, what: str, found: Tested | None) -> None:
        if found is not None:
            rate = "-" if found.win_rate is None else f"{found.win_rate:.3f}"
            self.stdout.write(
                f"out of sample with {what}: {found.trades} trades, win rate {rate}, "
                f"PF {_shown(found.profit_factor)}, sum {found.sum_r:+.2f} R"
            )

    def _compare(self, a: int, b: int) -> None:
        found = compare_runs(a, b)
        if found is None:
            raise CommandError(f"runs {a} and {b} are not two finished runs of one kind")
        self.stdout.write("same bars" if found.same_data else "OTHER BARS: the numbers do not compare")
        for run_id in found.proxied:
            self.stdout.write(f"run {run_id}: imbalance by bar proxy")
        for row in (*found.params, *found.config, *found.measures):
            self.stdout.write(f"{row.name:24} {_told(row.a):>24} {_told(row.b):>24}")


def _params(options: dict[str, Any]) -> dict[str, object]:
    """As the API would ask for the same; files by name only."""
    params: dict[str, object] = {
        "symbols": options["symbol"],
        "r_usd": options["r_usd"],
        "equity_usd": options["equity"],
    }
    params |= _walk_params(options)
    given = (("from", "from_"), ("to", "to"), ("tick", "tick"), ("qty_step", "qty_step"))
    params |= {name: options[key] for name, key in given if options[key]}
    params |= fee_params(options)
    if options["file"]:
        params["files"] = [Path(name).name for name in options["file"]]
    return params


def _walk_params(options: dict[str, Any]) -> dict[str, object]:
    given: dict[str, object] = {name: options[name] for name in WALK_FIELDS if options.get(name) is not None}
    return given | ({"thetas": options["theta"]} if options["theta"] else {})


def _told(value: object) -> str:
    return "-" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)


def _shown(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
