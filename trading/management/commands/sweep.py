"""`manage.py sweep`: a grid of strategy numbers over the same bars; resumable, one JSON row a config."""

import json
import os
from argparse import ArgumentParser
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from avigrid.kernel.errors import AviGridError, Rejected
from trading.avi5.config import ConfigValue, InvalidConfig, parse_setting
from trading.backtest.sweep import RankedRow, SweepRow, SweepSpec, ranked, sweep_run
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
        "Run every combination of numbers. Example: manage.py sweep --file BTCUSDT_5m.csv.gz --symbol BTCUSDT "
        "--profile grid --axis theta=[0.25,0.35,0.45] --axis atr_mult_x=[6,8,10] --out sweep.jsonl. "
        "Interrupted, the same command goes on where it stopped."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        add_data_options(parser)
        add_config_options(parser)
        parser.add_argument("--axis", action="append", default=[], metavar="FIELD=[..]", help="values of one field")
        parser.add_argument("--out", metavar="JSONL", help="rows go here; finished ones are not run again")
        parser.add_argument("--top", type=int, default=15, metavar="N", help="rows to print (15)")
        parser.add_argument("--shard-size", type=int, default=200, metavar="N", help="configs between two writes (200)")

        parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, metavar="N", help="threads (all cores)")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            self._run(options)
        except AviGridError as error:
            raise CommandError(f"{error.message} ({error.code})") from error

    def _run(self, options: dict[str, Any]) -> None:
        refuse_where_off()
        config, settings = config_from(options), settings_from(options)
        spec = SweepSpec(config, _axes(options["axis"]))
        loaded = load(options, config)
        data_hash = "-".join(data.data_hash for data, _ in loaded)
        header = {"spec_hash": spec.spec_hash, "data_hash": data_hash, "r_usd": str(settings.r_usd)}
        out = Path(options["out"]) if options["out"] else None
        shards = max(1, -(-spec.size // max(options["shard_size"], 1)))
        done = _finished(out, header) if out else {}
        rows = [row for shard in done.values() for row in shard]
        for shard in range(shards):
            if shard in done:
                continue
            fresh = sweep_run(spec, loaded, shard=shard, shards=shards, settings=settings, workers=options["workers"])
            rows += fresh
            if out:
                _append(out, header, shard, fresh)
            self.stderr.write(f"{min(len(rows), spec.size)} of {spec.size} configs")
        self.stdout.write(f"{len(rows)} configs, {spec.size - len(rows)} combinations not legal, spec {spec.spec_hash}")
        for item in ranked(spec, rows)[: options["top"]]:
            self.stdout.write(_line(item))


def _axes(texts: list[str]) -> dict[str, tuple[ConfigValue, ...]]:
    axes: dict[str, tuple[ConfigValue, ...]] = {}
    for text in texts:
        name, _, raw = text.partition("=")
        if raw.startswith("["):
            try:
                values = json.loads(raw)
            except ValueError:
                raise InvalidConfig(f"--axis {name}: {raw!r} is not a JSON list", field=name) from None
        else:
            values = [parse_setting(f"{name}={one}")[1] for one in raw.split(",")]
        axes[name.strip()] = tuple(values)
    return axes


def _finished(path: Path, header: dict[str, str]) -> dict[int, list[SweepRow]]:
    """Shards that were written whole; a torn last line is run again."""
    shards: dict[int, list[SweepRow]] = {}
    for line in _lines(path):
        if {name: line.get(name) for name in header} != header:
            raise Rejected(f"{path.name} belongs to another sweep (numbers, bars or R differ)", code="other_sweep")
        shards[int(line["shard"])] = [SweepRow(**row) for row in line["rows"]]
    return shards


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    if not path.exists():
        return
    kept = []
    for text in path.read_text().splitlines():
        try:
            kept.append(json.loads(text))
        except ValueError:
            break
    path.write_text("".join(json.dumps(line) + "\n" for line in kept))
    yield from kept


def _append(path: Path, header: dict[str, str], shard: int, rows: list[SweepRow]) -> None:
    line = {**header, "shard": shard, "rows": [row.to_json() for row in rows]}
    with path.open("a") as file:
        file.write(json.dumps(line) + "\n")


def _line(item: RankedRow) -> str:
    row = item.row
    changes = " ".join(f"{name}={value}" for name, value in row.changes.items())

    def shown(value: float | None) -> str:
        return "-" if value is None else f"{value:.3f}"

    return (
        f"{shown(row.expectancy_r)} R a trade (neighbours median {shown(item.neighbours_median_r)}, worst "
        f"{shown(item.neighbours_worst_r)}), PF {shown(row.profit_factor)}, {row.trades} trades, "
        f"sum {row.sum_r:.1f} R, fees {row.fees_r:.1f} R, drawdown {row.closed_drawdown_r:.1f} R: {changes}"
    )
