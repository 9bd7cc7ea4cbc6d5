"""`--source` as text -> a source, or BadSource with the one sentence that says why not."""

from collections.abc import Sequence
from pathlib import Path

from avigrid.exchange.simulator.feed import Source
from avigrid.exchange.simulator.sources.catalogue import SPECS
from avigrid.exchange.simulator.sources.errors import BadSource
from avigrid.exchange.simulator.sources.files import FileKind, KlineFile, funding_rates, kind_of, recordings
from avigrid.exchange.simulator.sources.live import LiveSource
from avigrid.exchange.simulator.sources.replay import KlineReplay
from avigrid.exchange.simulator.sources.synthetic import SyntheticSource
from avigrid.exchange.simulator.sources.ticks import FrameReplay, TradeReplay, TradeRow, read_trades

__all__ = ["BadSource", "open_source"]


def open_source(
    text: str,
    *,
    symbols: Sequence[str],
    seed: int,
    start_ms: int | None,
    books_per_s: int = 1,
    slice_ms: int = 5_000,
    live_url: str = "",
    live_rest: str = "",
    now_ms: int = 0,
) -> Source:
    """`synthetic`, `replay:PATH` or `live`; no symbols means all that a recording has."""
    kind, _, rest = text.partition(":")
    if kind == "synthetic" and not rest:
        _listed(symbols)
        return SyntheticSource(
            symbols, seed=seed, start_ms=start_ms if start_ms is not None else now_ms, books_per_s=books_per_s
        )
    if kind == "live" and not rest:
        _listed(symbols)
        return LiveSource(symbols, url=live_url, rest_url=live_rest, now_ms=now_ms)
    if kind == "replay" and rest:
        return _open_replay(Path(rest).expanduser(), symbols=symbols, seed=seed, start_ms=start_ms, slice_ms=slice_ms)
    raise BadSource(f"the source must be synthetic, replay:PATH or live, got {text!r}")


def _listed(symbols: Sequence[str]) -> None:
    for symbol in symbols:
        if symbol not in SPECS:
            raise BadSource(f"unknown symbol {symbol}; known are {', '.join(SPECS)}")
    if not symbols:
        raise BadSource("at least one symbol is wanted")


def _open_replay(path: Path, *, symbols: Sequence[str], seed: int, start_ms: int | None, slice_ms: int) -> Source:
    paths = recordings(path)
    kinds = {found: kind_of(found) for found in paths}
    if len(set(kinds.values())) > 1:
        names = ", ".join(f"{found.name} ({kind.value})" for found, kind in kinds.items())
        raise BadSource(f"{path} mixes kinds of recordings: {names}; name one of them")
    kind = next(iter(kinds.values()))
    if kind is FileKind.KLINES:
        files = [KlineFile(found) for found in paths if not symbols or _begins_with_one_of(found, symbols)]
        _all_there(symbols, [file.symbol for file in files], path)
        funding = {file.symbol: funding_rates(path, file.symbol) for file in files}
        return KlineReplay(files, funding=funding, start_ms=start_ms, seed=seed, slice_ms=slice_ms)
    if kind is FileKind.TRADES:
        merged: dict[str, list[TradeRow]] = {}
        for found in paths:
            for symbol, rows in read_trades(found).items():
                merged.setdefault(symbol, []).extend(rows)
        chosen = {
            symbol: sorted(rows, key=lambda row: row[0])
            for symbol, rows in merged.items()
            if not symbols or symbol in symbols
        }
        _all_there(symbols, list(chosen), path)
        return TradeReplay(chosen, start_ms=start_ms, seed=seed)
    source = FrameReplay(paths, symbols=symbols)
    _all_there(symbols, [spec.symbol for spec in source.instruments()], path)
    return source


def _begins_with_one_of(path: Path, symbols: Sequence[str]) -> bool:
    return any(path.name.startswith(symbol) for symbol in symbols)


def _all_there(symbols: Sequence[str], found: Sequence[str], path: Path) -> None:
    for symbol in symbols:
        if symbol not in found:
            raise BadSource(f"unknown symbol {symbol}: {path} has no recording of it")
