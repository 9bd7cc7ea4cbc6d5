"""What a research run works on: stored bars and filters of its symbols, each read in a read-only transaction."""

from collections.abc import Callable, Sequence
from hashlib import sha256

from django.db import connection, transaction

from avigrid.kernel.instrument import Instrument
from marketdata.selectors.instruments import UnknownInstrument, instrument
from trading.avi5.config import StrategyConfig
from trading.backtest.data import MarketData
from trading.backtest.filters import filters_text, instrument_from_bars
from trading.backtest.request import ResearchRequest
from trading.selectors.replay_data import stored_market_data

HASH_LENGTH = 64

type LookUp = Callable[[], None]
type Loaded = list[tuple[MarketData, Instrument]]


def loaded_bars(request: ResearchRequest, depth: StrategyConfig, look_up: LookUp) -> Loaded:
    """With the history before the first decision that `depth` needs; `look_up` is called between two symbols."""
    found: Loaded = []
    for symbol in request.symbols:
        look_up()
        with transaction.atomic():
            if connection.in_atomic_block and not connection.savepoint_ids:
                with connection.cursor() as cursor:
                    cursor.execute("SET TRANSACTION READ ONLY")
            data = stored_market_data(symbol, depth, from_ms=request.from_ms, to_ms=request.to_ms)
            try:
                known = instrument(symbol)
            except UnknownInstrument:
                known = instrument_from_bars(symbol, data.bars_5m)
        found.append((data, known))
    return found


def joint_hash(loaded: Sequence[tuple[MarketData, Instrument]]) -> str:
    """Of all symbols' bars: theirs side by side, or one over them where they are many."""
    text = "-".join(data.data_hash for data, _ in loaded)
    return text if len(text) <= HASH_LENGTH else sha256(text.encode()).hexdigest()


def joint_filters(loaded: Sequence[tuple[MarketData, Instrument]]) -> str:
    return "; ".join(filters_text(known) for _, known in loaded)
