"""Tickers: the stream sends a snapshot and then only what changed; the merger keeps each symbol's whole state."""

from collections.abc import Mapping

import msgspec

from avigrid.exchange.bybit.codec.fields import MalformedMessage, Number, real, result_of, rows, whole
from avigrid.kernel.market import Ticker


class TickerRow(msgspec.Struct, rename="camel"):
    symbol: str
    last_price: Number = None
    mark_price: Number = None
    index_price: Number = None
    bid1_price: Number = None
    ask1_price: Number = None
    funding_rate: Number = None
    next_funding_time: Number = None


class TickerFrame(msgspec.Struct):
    topic: str
    type: str
    ts: int
    data: TickerRow


_decoder = msgspec.json.Decoder(TickerFrame)
_FIELDS = tuple(name for name in TickerRow.__struct_fields__ if name != "symbol")


class TickerMerger:
    """Deltas over the last full state; an absent field is unchanged, "" says there is none now."""

    def __init__(self) -> None:
        self._state: dict[str, TickerRow] = {}

    def merge(self, raw: bytes) -> Ticker | None:
        """None for a delta before the first snapshot: half a state must not pass for a whole one."""
        try:
            frame = _decoder.decode(raw)
        except (msgspec.ValidationError, msgspec.DecodeError) as error:
            raise MalformedMessage(f"tickers frame: {error}", reason="tickers") from error
        row = frame.data
        if frame.type != "snapshot":
            known = self._state.get(row.symbol)
            if known is None:
                return None
            for name in _FIELDS:
                if getattr(row, name) is None:
                    setattr(row, name, getattr(known, name))
        self._state[row.symbol] = row
        return _ticker(row, frame.ts)

    def forget(self, symbol: str | None = None) -> None:
        """After a reconnect: only a new snapshot counts."""
        if symbol is None:
            self._state.clear()
        else:
            self._state.pop(symbol, None)


def tickers_of_reply(reply: Mapping[str, object]) -> list[Ticker]:
    time_ms = reply.get("time")
    now_ms = time_ms if isinstance(time_ms, int) else 0
    return [_ticker(row, now_ms) for row in rows(result_of(reply).get("list"), TickerRow)]


def _ticker(row: TickerRow, time_ms: int) -> Ticker:
    return Ticker(
        symbol=row.symbol,
        last_price=real(row.last_price),
        mark_price=real(row.mark_price),
        index_price=real(row.index_price),
        bid=real(row.bid1_price),
        ask=real(row.ask1_price),
        funding_rate=real(row.funding_rate),
        next_funding_ms=whole(row.next_funding_time),
        time_ms=time_ms,
    )
