"""Coverage and every anomaly of stored bars, or of kline files."""

import json
from collections import Counter
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from avigrid.exchange.bybit.archives.detect import ArchiveKind, detect
from avigrid.exchange.bybit.archives.errors import BadArchive
from avigrid.exchange.bybit.archives.klines import read_klines
from avigrid.exchange.kline_table import KlineTable
from marketdata.management import arguments
from marketdata.management.arguments import utc_text
from marketdata.selectors.bars import range_table
from marketdata.selectors.coverage import open_gaps, series
from marketdata.selectors.quality import Quality, examine
from marketdata.selectors.rollups import RELATIONS, rollup_differences
from marketdata.services.rollups import rollups_refresh

_END_OF_TIME_MS = 4_102_444_800_000
EXAMPLES = """Examples:
  manage.py data_quality
  manage.py data_quality --symbols BTCUSDT --intervals 5,15 --from 2025-09-24 --json
  manage.py data_quality --file klines/BTCUSDT_1m.csv.gz --strict
"""


class Command(BaseCommand):
    help = "Print coverage per symbol and interval and every anomaly: gaps, OHLC violations, zero volume, outliers."
    requires_system_checks = []

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        return super().create_parser(
            prog_name, subcommand, epilog=EXAMPLES, formatter_class=arguments.ExamplesFormatter, **kwargs
        )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--symbols", default="", help="comma separated; default: everything stored")
        parser.add_argument("--intervals", default="1,5,15", help="minutes, comma separated (default 1,5,15)")
        parser.add_argument("--from", dest="start", default="", help="first day or moment, UTC")
        parser.add_argument("--to", dest="end", default="", help="end, exclusive")
        parser.add_argument("--file", action="append", default=[], help="look at a kline file instead; repeatable")
        parser.add_argument("--interval", type=int, default=None, help="of the files, where their name does not say it")
        parser.add_argument("--symbol", default=None, help="of the files, where their name does not say it")
        parser.add_argument(
            "--rollups", action="store_true", help="compare 15m and 1h rolled up from 5m with the venue"
        )
        parser.add_argument("--limit", type=int, default=0, help="anomalies to print per series (0 = all)")
        parser.add_argument("--strict", action="store_true", help="exit with 1 where there is any anomaly")
        parser.add_argument("--json", action="store_true", help="machine-readable output")

    def handle(self, *args: Any, **options: Any) -> None:
        start_ms = arguments.moment_ms(options["start"], "--from") if options["start"] else 0
        end_ms = arguments.moment_ms(options["end"], "--to") if options["end"] else _END_OF_TIME_MS
        if end_ms <= start_ms:
            raise arguments.refuse("--to must be after --from.")
        tables = self._files(options) if options["file"] else self._stored(options, start_ms, end_ms)
        reports = [examine(table) for table in (one.between(start_ms, end_ms) for one in tables) if len(table)]
        rollups = [] if options["file"] or not options["rollups"] else self._rollups(reports)
        if options["json"]:
            self.stdout.write(json.dumps(_as_json(reports, rollups, options["limit"])))
        else:
            self._print(reports, rollups, options["limit"], from_files=bool(options["file"]))
        if options["strict"] and (any(report.anomalies for report in reports) or any(row[3] for row in rollups)):
            raise SystemExit(1)

    def _files(self, options: dict[str, Any]) -> list[KlineTable]:
        tables = []
        for path in arguments.files(options["file"]):
            try:
                kind = detect(path)
                if kind not in (ArchiveKind.KLINE_CSV, ArchiveKind.KLINE_MT4):
                    raise arguments.refuse(f"{path.name} holds {kind.value.replace('_', ' ')}, not klines.")
                tables.append(read_klines(path, symbol=options["symbol"], interval_min=options["interval"]))
            except BadArchive as error:
                raise arguments.refuse(f"{error.message}.") from error
        return tables

    def _stored(self, options: dict[str, Any], start_ms: int, end_ms: int) -> list[KlineTable]:
        wanted = arguments.symbols(options["symbols"])
        minutes = arguments.intervals(options["intervals"])
        found = [
            range_table(symbol, interval_min, start_ms, end_ms)
            for symbol, interval_min in series()
            if interval_min in minutes and (not wanted or symbol in wanted)
        ]
        missing = set(wanted) - {table.symbol for table in found}
        if missing:
            raise arguments.refuse(f"No bars of {', '.join(sorted(missing))} are stored; manage.py backfill gets them.")
        return found

    def _rollups(self, reports: list[Quality]) -> list[tuple[str, int, int, int]]:
        rows = []
        for report in reports:
            coverage = report.coverage
            if coverage.interval_min != 5:
                continue
            end_ms = coverage.last_ms + 300_000
            rollups_refresh(start_ms=coverage.first_ms, end_ms=end_ms)
            for interval_min in RELATIONS:
                compared, differences = rollup_differences(coverage.symbol, interval_min, coverage.first_ms, end_ms)
                rows.append((coverage.symbol, interval_min, compared, len(differences)))
        return rows

    def _print(
        self, reports: list[Quality], rollups: list[tuple[str, int, int, int]], limit: int, *, from_files: bool
    ) -> None:
        if not reports:
            self.stdout.write("Nothing is stored yet; manage.py backfill gets it.")
        for report in reports:
            coverage = report.coverage
            self.stdout.write(
                f"{coverage.symbol} {coverage.interval_min}m: {coverage.bars:,} bars, "
                f"{utc_text(coverage.first_ms)} to {utc_text(coverage.last_ms)} UTC, "
                f"coverage {coverage.ratio * 100:.3f} %, holes {len(coverage.holes)} ({coverage.missing} bars)"
            )
            for anomaly in report.anomalies[: limit or None]:
                self.stdout.write(
                    f"  {anomaly.kind:<16} {utc_text(anomaly.start_ms)}  bars {anomaly.bars:<6} {anomaly.detail}"
                )
            if limit and len(report.anomalies) > limit:
                self.stdout.write(f"  ... and {len(report.anomalies) - limit} more")
        for symbol, interval_min, compared, differing in rollups:
            self.stdout.write(f"{symbol} {interval_min}m rolled up from 5m: {compared} compared, {differing} differ")
        kinds = Counter(anomaly.kind for report in reports for anomaly in report.anomalies)
        counts = ", ".join(f"{kind} {count}" for kind, count in sorted(kinds.items())) or "none"
        self.stdout.write(f"Series: {len(reports)}. Anomalies: {counts}.")
        if not from_files:
            self.stdout.write(f"Recorded gaps still open: {len(open_gaps())}.")


def _as_json(reports: list[Quality], rollups: list[tuple[str, int, int, int]], limit: int) -> dict[str, object]:
    return {
        "series": [
            {
                "symbol": report.coverage.symbol,
                "interval_min": report.coverage.interval_min,
                "bars": report.coverage.bars,
                "first_ms": report.coverage.first_ms,
                "last_ms": report.coverage.last_ms,
                "coverage_ratio": report.coverage.ratio,
                "holes": len(report.coverage.holes),
                "missing_bars": report.coverage.missing,
                "counts": dict(Counter(anomaly.kind for anomaly in report.anomalies)),
                "anomalies": [asdict(anomaly) for anomaly in report.anomalies[: limit or None]],
            }
            for report in reports
        ],
        "rollups": [
            {"symbol": symbol, "interval_min": interval_min, "compared": compared, "differing": differing}
            for symbol, interval_min, compared, differing in rollups
        ],
    }
