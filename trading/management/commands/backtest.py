"""`manage.py backtest`: AVI-5 over files or stored bars; prints a summary, writes report, trades and decisions."""

import csv
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand
from django.utils import translation

from avigrid.common.spoken import said
from avigrid.kernel.errors import Rejected
from trading.avi5.window import BAR_5M_MS
from trading.backtest.bias import check_lookahead, check_warm_up
from trading.backtest.driver import decisions_of, run_backtest
from trading.backtest.html import report_html
from trading.backtest.report import Report, decisions_csv_rows, make_report, report_json, trades_csv
from trading.backtest.request import LANGUAGES
from trading.backtest.times import utc
from trading.management.replay_options import (
    add_config_options,
    add_data_options,
    load,
    numbers_from,
    range_from,
    refuse_unwritable,
    refuse_where_off,
    settings_from,
    spoken_errors,
)


class Command(BaseCommand):
    help = (
        "Replay AVI-5. Examples: manage.py backtest --file BTCUSDT_5m.csv.gz --symbol BTCUSDT --profile grid "
        "--report out/ --trades trades.csv --decisions decisions.csv; "
        "manage.py backtest --symbol BTCUSDT --symbol ETHUSDT --from 2026-01-01 --set theta=0.4"
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        add_data_options(parser)
        add_config_options(parser)
        parser.add_argument("--report", metavar="DIR", help="report.html, report.json and trades.csv go here")
        parser.add_argument(
            "--language", choices=LANGUAGES, default="en", help="of report.html (default en); the data stay as they are"
        )
        parser.add_argument("--trades", metavar="CSV", help="one row per exit")
        parser.add_argument("--decisions", metavar="CSV", help="one row per bar")
        parser.add_argument("--check", action="store_true", help="look for lookahead and warm-up bias as well")

    def handle(self, *args: Any, **options: Any) -> None:
        with spoken_errors():
            self._run(options)

    def _run(self, options: dict[str, Any]) -> None:
        refuse_where_off()
        numbers, settings = numbers_from(options), settings_from(options)
        config = numbers.config
        first, _ = range_from(options)
        refuse_unwritable(options, "trades", "decisions")
        if options["decisions"] and len(options["symbol"]) > 1:
            raise Rejected("--decisions takes one symbol: its rows carry no symbol column", code="one_symbol")
        folder = _folder(options["report"])
        self.stdout.write(numbers.sentence)
        loaded = load(options, config)
        results = [
            run_backtest(data, config, instrument=instrument, settings=settings, from_ms=first)
            for data, instrument in loaded
        ]
        report = make_report(results)
        if folder is not None:
            with translation.override(options["language"]):
                html = report_html(report, language=options["language"], say=said)
            (folder / "report.html").write_text(html, encoding="utf-8")
            (folder / "report.json").write_text(report_json(report))
            (folder / "trades.csv").write_text(trades_csv(results))
        if options["trades"]:
            Path(options["trades"]).write_text(trades_csv(results))
        if options["decisions"]:
            with Path(options["decisions"]).open("w", newline="") as file:
                writer = csv.writer(file, lineterminator="\n")
                decisions = decisions_of(loaded[0][0], config, fees=settings.fees, from_ms=first)
                writer.writerows(decisions_csv_rows(decisions))
        self._print(report)
        if options["check"]:
            for data, _ in loaded:
                for finding in (
                    check_lookahead(data, config, fees=settings.fees),
                    check_warm_up(data, config, fees=settings.fees),
                ):
                    self.stdout.write(f"{data.symbol} {finding.name}: {finding.sentence}")

    def _print(self, report: Report) -> None:
        m = report.metrics
        config = report.results[0].config

        def shown(value: float | None, digits: int = 3) -> str:
            return "-" if value is None else f"{value:.{digits}f}"

        for result in report.results:
            self.stdout.write(
                f"{result.symbol}: {len(result.start_ms)} bars, data {result.data_hash}"
                + (", imbalance by bar proxy" if result.used_proxy else "")
            )
            cold = len(result.start_ms) - result.warm_bars
            if cold:
                begins_ms = int(result.start_ms[cold]) + BAR_5M_MS
                self.stdout.write(f"{result.symbol}: decisions begin at {utc(begins_ms)}, {cold} bars of warm-up")
        self.stdout.write(f"profile {config.profile.value}, config {config.config_hash}")
        self.stdout.write(f"signals {m.signals}, plans {m.plans}, trades {m.trades}")
        self.stdout.write(
            f"win rate {shown(m.win_rate)}, profit factor {shown(m.profit_factor)}, "
            f"expectancy {shown(m.expectancy_r)} R, sum {shown(m.sum_r, 2)} R"
        )
        self.stdout.write(
            f"gross {m.gross_usd:+.2f}, fees {-m.fees_usd:+.2f}, funding {-m.funding_usd:+.2f}, "
            f"net {m.net_usd:+.2f} USD "
            f"(slippage inside gross {-m.slippage_usd:+.2f})"
        )
        self.stdout.write(
            f"max drawdown {m.max_drawdown_usd:.2f} USD = {m.max_drawdown_r:.2f} R, exposure {m.exposure_ratio:.1%}"
        )
        self.stdout.write("plans ended by " + ", ".join(f"{name} {count}" for name, count in m.reasons.items()))


def _folder(name: str | None) -> Path | None:
    """Made before the work, so that one that cannot be made costs nothing."""
    if name is None:
        return None
    folder = Path(name)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Rejected(f"--report {name} cannot be made: {error.strerror}", code="unwritable") from error
    return folder
