"""Bybit's daily trade files (header timestamp,symbol,side,size,price,...): rows may run newest first."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from io import TextIOWrapper
from pathlib import Path

import numpy as np
import numpy.typing as npt

from avigrid.exchange.bybit.archives.detect import ArchiveKind, detect
from avigrid.exchange.bybit.archives.errors import BadArchive, InverseContract
from avigrid.exchange.bybit.archives.opening import open_archive
from avigrid.exchange.kline_table import KlineTable
from avigrid.kernel.market import PublicTrade


@dataclass(frozen=True, slots=True, eq=False)
class TradeTable:
    """Columns of equal length, oldest first; quantity in base coin."""

    symbol: str
    time_ms: npt.NDArray[np.int64]
    price: npt.NDArray[np.float64]
    quantity: npt.NDArray[np.float64]
    taker_is_buyer: npt.NDArray[np.bool_]
    trade_id: tuple[str, ...]
    was_descending: bool

    def __len__(self) -> int:
        return len(self.time_ms)

    def trades(self) -> Iterator[PublicTrade]:
        for trade_id, time_ms, price, quantity, buyer in zip(
            self.trade_id,
            self.time_ms.tolist(),
            self.price.tolist(),
            self.quantity.tolist(),
            self.taker_is_buyer.tolist(),
            strict=True,
        ):
            yield PublicTrade(self.symbol, trade_id, time_ms, price, quantity, buyer)


def read_trades(path: Path) -> TradeTable:
    """Reads a whole file, any row order; InverseContract where size is in USD."""
    if detect(path) is not ArchiveKind.TRADES:
        raise BadArchive(f"{path.name} is not a Bybit trade file", path=str(path))
    with open_archive(path) as stream:
        rows = csv.reader(TextIOWrapper(stream, "utf-8-sig", newline=""))
        at = {name.strip().lower(): index for index, name in enumerate(next(rows))}
        table = [row for row in rows if row]
    if not table:
        raise BadArchive(f"{path.name} holds no rows", path=str(path))
    symbol = table[0][at["symbol"]]
    _refuse_inverse(symbol, table[0], at, path)
    try:
        # The times have up to six decimals; Decimal keeps 1569974396.557895 from becoming a neighbour millisecond.
        time_ms = np.array([int(Decimal(row[at["timestamp"]]) * 1000) for row in table], dtype=np.int64)
        price = np.array([row[at["price"]] for row in table], dtype=np.float64)
        quantity = np.array([row[at["size"]] for row in table], dtype=np.float64)
        buyer = np.array([row[at["side"]] == "Buy" for row in table], dtype=np.bool_)
        ids = [row[at["trdmatchid"]] for row in table]
    except (ValueError, ArithmeticError, IndexError, KeyError) as error:
        raise BadArchive(f"{path.name}: a row does not read: {error!r}", path=str(path)) from error
    if any(row[at["symbol"]] != symbol for row in table):
        raise BadArchive(f"{path.name} holds more than one symbol", path=str(path))
    descending = len(time_ms) > 1 and bool(time_ms[0] > time_ms[-1])
    # Reversed first, so that trades of one millisecond keep their market order under the stable sort.
    order = np.arange(len(time_ms))[::-1] if descending else np.arange(len(time_ms))
    order = order[np.argsort(time_ms[order], kind="stable")]
    return TradeTable(
        symbol,
        time_ms[order],
        price[order],
        quantity[order],
        buyer[order],
        tuple(ids[index] for index in order.tolist()),
        descending,
    )


def klines_from_trades(table: TradeTable, interval_min: int, *, previous_close: float | None = None) -> KlineTable:
    """Bars as the venue makes them: each opens at the close before it; without a trade it is flat with volume 0.

    Without `previous_close` the first bar, whose open nobody knows, is left out. The edges of the file count as whole.
    """
    step_ms = interval_min * 60_000
    bucket = table.time_ms // step_ms
    first, last = int(bucket[0]), int(bucket[-1])
    edges = np.flatnonzero(np.diff(bucket, prepend=bucket[0] - 1))
    at = bucket[edges] - first
    count = last - first + 1

    def spread(values: npt.NDArray[np.float64], fill: float) -> npt.NDArray[np.float64]:
        result = np.full(count, fill)
        result[at] = values
        return result

    last_traded = np.zeros(count, dtype=np.int64)
    last_traded[at] = np.arange(len(at))
    close = table.price[np.append(edges[1:], len(bucket)) - 1][np.maximum.accumulate(last_traded)]
    open_ = np.concatenate(([table.price[0] if previous_close is None else previous_close], close[:-1]))
    bars = KlineTable(
        table.symbol,
        interval_min,
        (np.arange(first, last + 1) * step_ms).astype(np.int64),
        open_,
        np.maximum(spread(np.maximum.reduceat(table.price, edges), -np.inf), open_),
        np.minimum(spread(np.minimum.reduceat(table.price, edges), np.inf), open_),
        close,
        spread(np.add.reduceat(table.quantity, edges), 0.0),
        spread(np.add.reduceat(table.quantity * table.price, edges), 0.0),
    )
    return bars if previous_close is not None else bars.take(slice(1, None))


def _refuse_inverse(symbol: str, row: list[str], at: dict[str, int], path: Path) -> None:
    """Linear files have foreignNotional = size * price; inverse ones size / price."""
    why = ""
    if not symbol.endswith("USDT"):
        why = "it is not a USDT perpetual"
    elif "foreignnotional" in at:
        size, price, foreign = (float(row[at[name]]) for name in ("size", "price", "foreignnotional"))
        if size > 0 and abs(foreign * price - size) < 1e-3 * size and abs(price - 1) > 0.01:
            why = "its sizes are in USD"
    if why:
        raise InverseContract(
            f"{path.name}: {symbol} is refused, {why} (inverse and USDC contracts are not supported)",
            path=str(path),
            symbol=symbol,
        )
