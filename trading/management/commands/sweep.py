"""`manage.py sweep`: a grid of strategy numbers over the same bars; resumable, one JSON row a config."""

import json
import os
import time
from argparse import ArgumentParser
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from avigrid.kernel.errors import Rejected
from trading.avi5.config import ConfigValue, InvalidConfig, parse_setting
from trading.backtest.filters import filters_text
from trading.backtest.sweep import RankedRow, SweepRow, SweepSpec, ranked, sweep_run
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
from trading.selectors.research import research_run
from trading.services.research import research_start

FOLLOW_EVERY_S = 1.0

type Header = dict[str, str | int | list[str] | None]
"""What two runs of the command must have in common so that one may go on with the other's rows."""


class Command(BaseCommand):
    help = (
        "Run every combination of numbers. Example: manage.py sweep --file BTCUSDT_5m.csv.gz --symbol BTCUSDT "
        "--profile grid --axis theta=[0.25,0.35,0.45] --axis atr_mult_x=[6,8,10] --out sweep.jsonl. "
        "Interrupted, the same command goes on where it stopped. Over stored bars --spread hands the parts to all "
        "Celery workers of the queue research, on any machine; --follow RUN shows its progress and table again."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        add_data_options(parser)
        add_config_options(parser)
        parser.add_argument("--axis", action="append", default=[], metavar="FIELD=[..]", help="values of one field")
        parser.add_argument("--out", metavar="JSONL", help="rows go here; finished ones are not run again")
        parser.add_argument("--top", type=counted, default=15, metavar="N", help="rows to print (15)")
        parser.add_argument(
            "--shard-size", type=counted, default=200, metavar="N", help="configs between two writes (200)"
        )

        parser.add_argument(
            "--workers", type=counted, default=os.cpu_count() or 1, metavar="N", help="threads (all cores)"
        )

        parser.add_argument("--spread", action="store_true", help="over stored bars, on Celery workers, and follow it")
        parser.add_argument("--follow", type=int, metavar="RUN", help="follow a sweep that was spread before")

    def handle(self, *args: Any, **options: Any) -> None:
        with spoken_errors():
            self._run(options)

    def _run(self, options: dict[str, Any]) -> None:
        refuse_where_off()
        if options["follow"] is not None:
            self._follow(options["follow"], options["top"])
            return
        if options["spread"]:
            self._follow(self._spread(options), options["top"])
            return
        refuse_unwritable(options, "out")
        numbers, settings = numbers_from(options), settings_from(options)
        first_ms, _ = range_from(options)
        spec = SweepSpec(numbers.config, _axes(options["axis"]))
        self.stdout.write(numbers.sentence)
        loaded = load(options, spec.deepest)
        header: Header = {
            "numbers and axes": spec.spec_hash,
            "bars": "-".join(data.data_hash for data, _ in loaded),
            "first decision": first_ms,
            "filters": [filters_text(instrument) for _, instrument in loaded],
            "R": str(settings.r_usd),
            "fees": f"{settings.fees.taker} {settings.fees.maker}",
            "anti-churn": settings.anti_churn_ms,
            "shard size": options["shard_size"],
        }
        out = Path(options["out"]) if options["out"] else None
        shards = -(-spec.size // options["shard_size"])
        done = _finished(out, header) if out else {}
        rows = [row for shard in done.values() for row in shard]
        for shard in range(shards):
            if shard in done:
                continue
            fresh = sweep_run(
                spec,
                loaded,
                shard=shard,
                shards=shards,
                settings=settings,
                workers=options["workers"],
                from_ms=first_ms,
            )
            rows += fresh
            if out:
                _append(out, header, shard, fresh)
            self.stderr.write(f"{min(len(rows), spec.size)} of {spec.size} configs")
        self.stdout.write(f"{len(rows)} configs, {spec.size - len(rows)} combinations not legal, spec {spec.spec_hash}")
        self._warn(any(row.used_proxy for row in rows))
        for item in ranked(spec, rows)[: options["top"]]:
            self.stdout.write(_line(item))

    def _spread(self, options: dict[str, Any]) -> int:
        if options["file"]:
            raise Rejected(
                "--spread reads bars every machine sees, the stored ones; leave --file out", code="spread_files"
            )
        numbers = numbers_from(options)
        self.stdout.write(numbers.sentence)
        params: dict[str, object] = {
            "symbols": options["symbol"],
            "config": numbers.config.to_mapping(),
            "axes": {name: list(values) for name, values in _axes(options["axis"]).items()},
            "r_usd": options["r_usd"],
            "equity_usd": options["equity"],
        }
        params |= {name: options[key] for name, key in (("from", "from_"), ("to", "to")) if options[key]}
        params |= fee_params(options)
        run = research_start(kind="sweep", params=params, actor="sweep", now=timezone.now())
        self.stdout.write(f"run {run.pk}: {run.shards} parts for the workers; leaving does not stop it")
        return run.pk

    def _follow(self, run_id: int, top: int) -> None:
        """Until it has ended; what workers do survives this command, their death and the next restart."""
        shown = -1
        while True:
            run = research_run(run_id)
            if run is None or run.kind != "sweep":
                raise CommandError(f"there is no sweep {run_id}")
            if run.shards_done != shown:
                shown = run.shards_done
                self.stderr.write(f"{shown} of {run.shards} parts, {run.progress_ratio:.0%}")
            if run.ended_at is not None:
                break
            time.sleep(FOLLOW_EVERY_S)
        if run.result is None:
            raise CommandError(run.error or f"the sweep was {run.status}")
        self.stdout.write(
            f"{run.result['configs']} configs, {run.result['not_legal']} combinations not legal, run {run.pk}"
        )
        self._warn(run.result["used_proxy"])
        near = ("neighbours", "neighbours_median_r", "neighbours_worst_r")
        for row in run.result["top"][:top]:
            own = SweepRow(**{name: value for name, value in row.items() if name not in near})
            self.stdout.write(_line(RankedRow(own, *(row[name] for name in near))))

    def _warn(self, used_proxy: bool) -> None:
        if used_proxy:
            self.stdout.write("imbalance by bar proxy: no order book was recorded for some or all bars")


def _axes(texts: list[str]) -> dict[str, tuple[ConfigValue, ...]]:
    axes: dict[str, tuple[ConfigValue, ...]] = {}
    for text in texts:
        name, _, raw = text.partition("=")
        if name.strip() in axes:
            raise InvalidConfig(f"--axis names {name.strip()} twice", field=name.strip())
        if raw.startswith("["):
            try:
                values = json.loads(raw)
            except ValueError:
                raise InvalidConfig(f"--axis {name}: {raw!r} is not a JSON list", field=name) from None
        else:
            values = [parse_setting(f"{name}={one}")[1] for one in raw.split(",")]
        axes[name.strip()] = tuple(values)
    return axes


def _finished(path: Path, header: Header) -> dict[int, list[SweepRow]]:
    """Shards that were written whole; a torn last line is run again."""
    shards: dict[int, list[SweepRow]] = {}
    for line in _lines(path):
        other = [name for name in header if line.get(name) != header[name]]
        if other:
            raise Rejected(f"{path.name} belongs to another sweep: {', '.join(other)} differ", code="other_sweep")
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


def _append(path: Path, header: Header, shard: int, rows: list[SweepRow]) -> None:
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
