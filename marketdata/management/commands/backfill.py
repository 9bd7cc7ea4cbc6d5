"""Get history: from the venue's REST, or from downloaded files."""

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, cast

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser
from tqdm import tqdm

from avigrid.exchange.bybit.archives.errors import BadArchive
from avigrid.kernel.errors import AviGridError
from marketdata.management import arguments
from marketdata.management.arguments import utc_text
from marketdata.runtime.backfill import BackfillSummary, Pace, PartPlan, backfill, plan
from marketdata.runtime.file_import import FileSummary, ImportOptions, dry_look, file_import
from marketdata.runtime.venue import PublicVenue, public_venue
from marketdata.selectors.instruments import whitelist
from marketdata.selectors.times import to_ms
from marketdata.services.funding import funding_refresh
from marketdata.services.instruments import instruments_refresh

EXAMPLES = """Examples:
  manage.py backfill --from 2026-06-01
  manage.py backfill --symbols BTCUSDT,ETHUSDT --intervals 5,15 --from 2026-01-01 --to 2026-02-01 --dry-run
  manage.py backfill --file klines/ --file BTCUSDT2025-09-24.csv.gz --intervals 1,5
A run that was interrupted, even by kill -9, continues where it stopped when the same command is given again.
"""


class Command(BaseCommand):
    help = "Fetch klines over REST, or import kline, trade and order-book files. Repeating it changes nothing."
    requires_system_checks = []

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        return super().create_parser(
            prog_name, subcommand, epilog=EXAMPLES, formatter_class=arguments.ExamplesFormatter, **kwargs
        )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--symbols", default="", help="comma separated; default: the whitelist")
        parser.add_argument("--intervals", default="1,5,15", help="minutes, comma separated (default 1,5,15)")
        parser.add_argument("--from", dest="start", default="", help="first day or moment, UTC (default: 30 days ago)")
        parser.add_argument("--to", dest="end", default="", help="end, exclusive (default: now)")
        parser.add_argument("--file", action="append", default=[], help="file, folder or pattern; repeatable")
        parser.add_argument("--symbol", default=None, help="of the files, where their name does not say it")
        parser.add_argument("--interval", type=int, default=None, help="of the files, where their name does not say it")
        parser.add_argument("--utc-offset-min", type=int, default=0, help="zone of MetaTrader files: 180 for UTC+3")
        parser.add_argument(
            "--no-trades", action="store_true", help="of trade files keep only the bars built from them"
        )
        parser.add_argument("--keep-book", action="store_true", help="of order-book files keep every message, too")
        parser.add_argument("--again", action="store_true", help="import files that were imported before once more")
        parser.add_argument("--funding", action="store_true", help="also fetch settled funding rates")
        parser.add_argument("--workers", type=int, default=4, help="requests at once (default 4; the budget rules)")
        parser.add_argument("--dry-run", action="store_true", help="only say what would be done")
        parser.add_argument("--no-progress", action="store_true", help="no progress bar")
        parser.add_argument("--json", action="store_true", help="machine-readable summary")

    def handle(self, *args: Any, **options: Any) -> None:
        if not 1 <= options["workers"] <= 32:
            raise arguments.refuse(f"--workers must be 1 to 32, got {options['workers']}.")
        start_ms = arguments.moment_ms(options["start"], "--from") if options["start"] else None
        end_ms = arguments.moment_ms(options["end"], "--to") if options["end"] else None
        if start_ms is not None and end_ms is not None and end_ms <= start_ms:
            raise arguments.refuse("--to must be after --from.")
        if options["file"]:
            self._from_files(options, start_ms, end_ms)
        else:
            self._from_venue(options, start_ms, end_ms)

    # --- REST -------------------------------------------------------------------
    def _from_venue(self, options: dict[str, Any], start_ms: int | None, end_ms: int | None) -> None:
        minutes = arguments.intervals(options["intervals"])
        wanted = arguments.symbols(options["symbols"])
        try:
            venue = public_venue()
            now_ms = venue.clock.now_ms()
            default = cast(Sequence[str], settings.AVIGRID["SYMBOLS"])
            known = instruments_refresh(reader=venue.reader, wanted=wanted or default, now_ms=now_ms)
        except AviGridError as error:
            raise arguments.refuse(f"The exchange cannot be asked: {error.message}.") from error
        for symbol in known.missing:
            self.stderr.write(f"{symbol} is not listed by the exchange: skipped.")
        chosen = [symbol for symbol in wanted or whitelist() if symbol not in known.missing]
        if not chosen:
            raise arguments.refuse("There is no listed symbol to fetch; name some with --symbols.")
        if start_ms is None:
            start_ms = now_ms - 30 * 86_400_000
        parts = plan(chosen, minutes, start_ms=start_ms, end_ms=end_ms or now_ms, now_ms=now_ms)
        if options["dry_run"]:
            self._print_plan(parts, as_json=options["json"])
            return
        with self._progress(sum(part.missing_bars for part in parts), "bars", options) as bar:
            summary = backfill(
                venue.reader, parts, now_ms=now_ms, pace=Pace(workers=options["workers"]), on_progress=bar.update
            )
        rates = self._funding(venue, chosen, now_ms) if options["funding"] else 0
        self._print_summary(summary, rates, known.missing, as_json=options["json"])
        if summary.failed:
            raise SystemExit(1)

    def _funding(self, venue: PublicVenue, symbols: Sequence[str], now_ms: int) -> int:
        return sum(funding_refresh(reader=venue.reader, symbol=symbol, now_ms=now_ms) for symbol in symbols)

    def _print_plan(self, parts: Sequence[PartPlan], *, as_json: bool) -> None:
        rows = [
            {
                "symbol": part.symbol,
                "interval_min": part.interval_min,
                "missing_bars": part.missing_bars,
                "gaps": len(part.holes),
                "requests": len(part.requests),
            }
            for part in parts
        ]
        if as_json:
            self.stdout.write(json.dumps({"dry_run": True, "parts": rows}))
            return
        for part, row in zip(parts, rows, strict=True):
            self.stdout.write(
                f"{part.symbol} {part.interval_min}m {utc_text(part.start_ms)} to {utc_text(part.end_ms)}: "
                f"{row['missing_bars']:,} bars missing, {row['gaps']} gaps, {row['requests']} requests"
            )
        self.stdout.write("Nothing was fetched (--dry-run).")

    def _print_summary(self, summary: BackfillSummary, rates: int, missing: Sequence[str], *, as_json: bool) -> None:
        if as_json:
            parts = [asdict(part) for part in summary.parts]
            self.stdout.write(
                json.dumps(
                    {
                        "resumed": summary.resumed,
                        "seconds": round(summary.seconds, 3),
                        "parts": parts,
                        "funding_rates": rates,
                        "not_listed": list(missing),
                    }
                )
            )
            return
        if summary.resumed:
            self.stdout.write("Continued an interrupted run.")
        for part in summary.parts:
            self.stdout.write(
                f"{part.symbol} {part.interval_min}m: {part.stored:,} of {part.missing:,} missing bars stored, "
                f"gaps found {part.gaps_found}, filled {part.gaps_filled}, corrected {part.corrected}, "
                f"invalid {part.invalid}, not at the exchange {part.unavailable:,}"
                + (f"; FAILED: {part.error}" if part.error else "")
            )
        total = sum(part.stored for part in summary.parts)
        self.stdout.write(f"{total:,} bars in {summary.seconds:.1f} s.")
        if rates:
            self.stdout.write(f"{rates} funding rates.")

    # --- files ------------------------------------------------------------------
    def _from_files(self, options: dict[str, Any], start_ms: int | None, end_ms: int | None) -> None:
        wishes = ImportOptions(
            symbol=options["symbol"],
            interval_min=options["interval"],
            utc_offset_min=options["utc_offset_min"],
            start_ms=start_ms,
            end_ms=end_ms,
            bar_intervals_min=arguments.intervals(options["intervals"]),
            keep_trades=not options["no_trades"],
            keep_book=options["keep_book"],
            again=options["again"],
        )
        paths = arguments.files(options["file"])
        now_ms = to_ms(datetime.now(UTC))
        done: list[FileSummary] = []
        refused: list[tuple[str, str, str]] = []
        with self._progress(None, "rows", options) as bar:
            for path in paths:
                bar.set_description(path.name[:32])
                try:
                    if options["dry_run"]:
                        done.append(dry_look(path, wishes))
                    else:
                        done.append(file_import(path, wishes, now_ms=now_ms, on_progress=bar.update))
                except BadArchive as error:
                    refused.append((str(path), error.code, error.message))
        self._print_files(done, refused, as_json=options["json"], dry_run=options["dry_run"])
        if refused:
            raise arguments.refuse(f"{len(refused)} of {len(paths)} files were refused: {refused[0][2]}.")

    def _print_files(
        self, done: list[FileSummary], refused: list[tuple[str, str, str]], *, as_json: bool, dry_run: bool
    ) -> None:
        if as_json:
            self.stdout.write(
                json.dumps(
                    {
                        "dry_run": dry_run,
                        "files": [_file_json(one) for one in done],
                        "refused": [{"path": path, "code": code, "why": why} for path, code, why in refused],
                    }
                )
            )
            return
        for one in done:
            if one.was_known:
                self.stdout.write(f"{one.path}: imported before (--again reads it once more)")
                continue
            order = ", newest first" if one.was_descending else ""
            text = f"{one.path}: {one.kind.replace('_', ' ')} {one.symbol}, {one.rows:,} rows{order}, holes {one.holes}"
            if not dry_run:
                bars = one.bars
                text += (
                    f"; bars new {bars.new:,}, same {bars.same:,}, differing {bars.ignored:,}, "
                    f"invalid {sum(bars.invalid.values())}; gaps filled {one.gaps_filled}; "
                    f"trades {one.trades_new:,}, book features {one.features_new}, book stretches {one.stretches_new}"
                )
            self.stdout.write(text)
        for path, code, why in refused:
            self.stdout.write(f"{path}: REFUSED ({code}): {why}")
        if dry_run:
            self.stdout.write("Nothing was stored (--dry-run).")

    def _progress(self, total: int | None, unit: str, options: dict[str, Any]) -> "tqdm[Any]":
        hidden = options["no_progress"] or options["json"]
        return tqdm(total=total, unit=f" {unit}", unit_scale=True, disable=hidden, file=sys.stderr, dynamic_ncols=True)


def _file_json(summary: FileSummary) -> dict[str, object]:
    bars = {name: getattr(summary.bars, name) for name in ("seen", "new", "same", "corrected", "completed", "ignored")}
    rest = {name: getattr(summary, name) for name in FileSummary.__slots__ if name != "bars"}
    return {**rest, "bars": {**bars, "invalid": dict(summary.bars.invalid)}}
