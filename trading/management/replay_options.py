"""Options that the research commands share: which bars, which numbers, which range."""

import json
import os
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError
from django.db import DatabaseError

from avigrid.kernel.errors import AviGridError, Rejected
from avigrid.kernel.instrument import FeeRates, Instrument
from trading.avi5.config import InvalidConfig, StrategyConfig, parse_setting
from trading.backtest.data import NO_FUNDING_HISTORY, EmptyRange, MarketData, between, prepare
from trading.backtest.files import read_bars, read_funding
from trading.backtest.filters import instrument_from_bars
from trading.backtest.request import read_fees, read_whole
from trading.backtest.result import BacktestSettings
from trading.services.research_fence import research_fence

type Options = Mapping[str, Any]
LARGEST = Decimal(1_000_000_000)
ACTIVE, DEFAULTS = "active", "defaults"
SIDE_FILES = ("file_15m", "file_1m", "funding")


@dataclass(frozen=True, slots=True)
class Numbers:
    """A strategy's numbers and, in words, where they were taken from."""

    config: StrategyConfig
    origin: str

    @property
    def sentence(self) -> str:
        return f"numbers: {self.origin}, config {self.config.config_hash}"


def add_data_options(parser: ArgumentParser) -> None:
    parser.add_argument("--symbol", action="append", default=[], metavar="S", help="repeat for several symbols")
    parser.add_argument(
        "--file", action="append", default=[], metavar="KLINES.csv.gz", help="5m bars, one file per --symbol, in order"
    )
    parser.add_argument("--file-15m", action="append", default=[], metavar="CSV", help="15m bars (else made of 5m)")
    parser.add_argument("--file-1m", action="append", default=[], metavar="CSV", help="1m bars for finer fills")
    parser.add_argument("--funding", action="append", default=[], metavar="CSV", help="time_ms,funding_rate")
    parser.add_argument("--tick", metavar="PRICE", help="tick size (else read off the file, or the known instrument)")
    parser.add_argument("--qty-step", metavar="QTY", help="quantity step (else likewise)")
    parser.add_argument("--from", dest="from_", metavar="DATE", help="first decision, ISO date or time, UTC")
    parser.add_argument("--to", metavar="DATE", help="end, exclusive")


def add_config_options(parser: ArgumentParser) -> None:
    parser.add_argument("--profile", choices=("swing", "grid"), help="overrides the config's profile")
    parser.add_argument(
        "--config",
        metavar="FILE",
        help="strategy numbers as a JSON object, or `active` for the version that decides now, or `defaults`",
    )
    parser.add_argument("--set", action="append", default=[], metavar="FIELD=VALUE", help="one number; repeat")
    parser.add_argument("--r-usd", default="100", metavar="USD", help="what one R is worth (100)")
    parser.add_argument("--equity", default="10000", metavar="USD", help="start equity (10000)")
    parser.add_argument("--taker", metavar="RATIO", help="taker fee of the account (0.00055, which is 0.055 %%)")
    parser.add_argument("--maker", metavar="RATIO", help="maker fee, below 0 where it is paid to you (0.0002)")
    parser.add_argument("--anti-churn", type=int, metavar="SECONDS", help="between two entries of one side (900)")


def counted(text: str) -> int:
    """An option's whole number above 0."""
    if not text.isdigit() or int(text) < 1:
        raise ArgumentTypeError(f"must be a whole number of at least 1, got {text}")
    return int(text)


def refuse_unwritable(options: Options, *names: str) -> None:
    """Before the work, not after it: every file that was asked for must have a folder it can be written to."""
    for name in names:
        if options.get(name) is None:
            continue
        path, option = Path(options[name]), f"--{name.replace('_', '-')}"
        if path.is_dir():
            raise Rejected(f"{option} names a folder, {path}; give a file", code="unwritable")
        if not path.parent.is_dir() or not os.access(path.parent, os.W_OK):
            raise Rejected(f"{option} cannot be written: {path.parent} is no folder to write to", code="unwritable")


@contextmanager
def spoken_errors() -> Iterator[None]:
    """A research command inside its fence: what it is refused, and a database that cannot be read, in a sentence."""
    try:
        with research_fence():
            yield
    except AviGridError as error:
        raise CommandError(f"{error.message} ({error.code})") from error
    except DatabaseError as error:
        sentence = f"the database cannot be read ({str(error).splitlines()[0]}); run manage.py migrate first"
        raise CommandError(f"{sentence} (no_database)") from error


def refuse_where_off() -> None:
    """Research can be switched off where it would take capacity from trading."""
    if not settings.AVIGRID["RESEARCH"]:
        raise Rejected("research is switched off on this installation (AVIGRID_RESEARCH)", code="research_off")


def numbers_from(options: Options) -> Numbers:
    """--config or the defaults, then --set, then --profile. Raises InvalidConfig, Rejected `no_strategy`."""
    source = options.get("config") or DEFAULTS
    if source == DEFAULTS:
        return _changed({}, "the defaults", options)
    if source == ACTIVE:
        return _changed(*_active(), options)
    path = Path(source)
    try:
        values = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise InvalidConfig(f"--config {path.name} cannot be read as JSON: {error}", field="config") from None
    if not isinstance(values, dict):
        raise InvalidConfig(f"--config {path.name} must hold a JSON object", field="config")
    return _changed(values, path.name, options)


def numbers_in_use(options: Options) -> Numbers:
    """--config or the version that decides now; the defaults only where there is none, and then it says so."""
    if options.get("config"):
        return numbers_from(options)
    try:
        return _changed(*_active(), options)
    except Rejected as error:
        return _changed({}, f"the defaults ({error.message})", options)


def _active() -> tuple[dict[str, object], str]:
    from trading.selectors.strategy import active_version, config_of

    try:
        version = active_version()
    except DatabaseError as error:
        raise Rejected(
            f"the active version cannot be read: {str(error).splitlines()[0]}", code="no_strategy"
        ) from error
    if version is None:
        raise Rejected("no strategy version is active", code="no_strategy")
    return dict(config_of(version).to_mapping()), f"the active version {version.name} v{version.version}"


def _changed(values: Mapping[str, object], origin: str, options: Options) -> Numbers:
    changes: dict[str, object] = dict(parse_setting(text) for text in options["set"])
    if options.get("profile"):
        changes["profile"] = options["profile"]
    if changes:
        origin += " with " + ", ".join(f"{name}={value}" for name, value in changes.items())
    return Numbers(StrategyConfig.from_mapping({**values, **changes}), origin)


def settings_from(options: Options) -> BacktestSettings:
    return BacktestSettings(
        r_usd=_positive(options["r_usd"], "--r-usd"),
        start_equity_usd=_positive(options["equity"], "--equity"),
        fees=fees_from(options),
        anti_churn_ms=_anti_churn_ms(options.get("anti_churn")),
    )


def _anti_churn_ms(given_s: int | None) -> int:
    name = "--anti-churn"
    return 1_000 * read_whole({} if given_s is None else {name: given_s}, name, 900, 0, 86_400)


def fees_from(options: Options) -> FeeRates:
    return read_fees(options.get("taker"), options.get("maker"), names=("--taker", "--maker"))


def fee_params(options: Options) -> dict[str, object]:
    """As a stored run names them; what was not given stays unsaid."""
    given = (("taker_fee", "taker"), ("maker_fee", "maker"), ("anti_churn_s", "anti_churn"))
    return {name: options[key] for name, key in given if options.get(key) is not None}


def range_from(options: Options) -> tuple[int | None, int | None]:
    first, last = _moment(options.get("from_"), "--from"), _moment(options.get("to"), "--to")
    if first is not None and last is not None and first >= last:
        raise EmptyRange(f"--from {options['from_']} must lie before --to {options['to']}")
    return first, last


def load(options: Options, config: StrategyConfig) -> list[tuple[MarketData, Instrument]]:
    """Per symbol its bars and filters, from files or from what is stored."""
    symbols, files = options["symbol"], options["file"]
    if not symbols:
        raise Rejected("--symbol is missing: name at least one", code="missing_symbol")
    if len(set(symbols)) < len(symbols):
        raise Rejected("--symbol names one symbol twice", code="symbol_twice")
    for name in SIDE_FILES:
        if len(options[name]) > len(files):
            option = f"--{name.replace('_', '-')}"
            raise Rejected(
                f"{option} goes with --file, in its order: {len(options[name])} given for {len(files)} of --file",
                code="unpaired_files",
            )
    if not files:
        return [_stored(symbol, options, config) for symbol in symbols]
    if len(files) != len(symbols):
        raise Rejected(
            f"--file and --symbol go in pairs: {len(files)} files, {len(symbols)} symbols", code="unpaired_files"
        )
    return [_from_files(index, symbol, options) for index, symbol in enumerate(symbols)]


def _from_files(index: int, symbol: str, options: Options) -> tuple[MarketData, Instrument]:
    _, last = range_from(options)
    bars = between(read_bars(Path(options["file"][index])), None, last)
    first = range_from(options)[0]
    if not len(bars) or (first is not None and int(bars.start_ms[-1]) < first):
        raise EmptyRange(
            f"{symbol}: {Path(options['file'][index]).name} has no bars from {options.get('from_') or 'its start'} to "
            f"{options.get('to') or 'its end'}",
            symbol=symbol,
        )

    def other(name: str) -> Path | None:
        return Path(options[name][index]) if index < len(options[name]) else None

    funding, minutes, quarters = other("funding"), other("file_1m"), other("file_15m")
    data = prepare(
        symbol,
        bars,
        bars_15m=None if quarters is None else between(read_bars(quarters), None, last),
        bars_1m=None if minutes is None else read_bars(minutes),
        funding=NO_FUNDING_HISTORY if funding is None else read_funding(funding),
    )
    return data, _with_grain(instrument_from_bars(symbol, bars), options)


def _stored(symbol: str, options: Options, config: StrategyConfig) -> tuple[MarketData, Instrument]:
    from marketdata.selectors.instruments import instrument
    from trading.selectors.replay_data import stored_market_data

    first, last = range_from(options)
    try:
        data = stored_market_data(symbol, config, from_ms=first, to_ms=last)
    except DatabaseError as error:
        raise Rejected(
            f"stored bars of {symbol} cannot be read ({str(error).splitlines()[0]}); run manage.py migrate and "
            "manage.py backfill first, or name a --file",
            code="no_stored_bars",
        ) from error
    try:
        known = instrument(symbol)
    except AviGridError:
        known = instrument_from_bars(symbol, data.bars_5m)
    return data, _with_grain(known, options)


def _with_grain(known: Instrument, options: Options) -> Instrument:
    if options.get("tick"):
        tick = _positive(options["tick"], "--tick")
        known = replace(known, tick_size=tick, min_price=tick)
    if options.get("qty_step"):
        step = _positive(options["qty_step"], "--qty-step")
        known = replace(known, qty_step=step, min_order_qty=step)
    return known


def _positive(text: str, name: str) -> Decimal:
    try:
        value = Decimal(text)
    except InvalidOperation:
        value = Decimal(0)
    if not value.is_finite() or value <= 0:
        raise Rejected(f"{name} must be a number above 0, got {text}", code="bad_number")
    if value > LARGEST:
        raise Rejected(f"{name} must be at most {LARGEST:f}, got {text}", code="bad_number")
    return value


def _moment(text: str | None, name: str) -> int | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise Rejected(f"{name} must be a date like 2026-01-31 or a time like 2026-01-31T12:00, got {text}") from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return round(moment.timestamp() * 1000)
