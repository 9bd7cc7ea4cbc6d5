"""Klines: stream frames (one or two bars each) and REST rows (arrays, newest first)."""

from collections.abc import Mapping

import msgspec

from avigrid.exchange.bybit.codec.fields import MalformedMessage, Number, read, real, result_of, whole
from avigrid.kernel.market import Kline

_INTERVALS_MIN = {"D": 1440, "W": 10_080}
_RAW_NAMES = {minutes: name for name, minutes in _INTERVALS_MIN.items()}


class KlineItem(msgspec.Struct):
    start: int
    interval: str
    open: str
    high: str
    low: str
    close: str
    volume: str
    turnover: str
    confirm: bool


class KlineFrame(msgspec.Struct):
    topic: str
    data: list[KlineItem]


_decoder = msgspec.json.Decoder(KlineFrame)


def interval_name(interval_min: int) -> str:
    """Bybit's word for an interval: minutes up to 720, then D and W."""
    return _RAW_NAMES.get(interval_min, str(interval_min))


def klines_of_frame(raw: bytes) -> list[Kline]:
    """Oldest first. On a rollover the closed bar comes together with the new one."""
    try:
        frame = _decoder.decode(raw)
    except (msgspec.ValidationError, msgspec.DecodeError) as error:
        raise MalformedMessage(f"kline frame: {error}", reason="kline") from error
    symbol = frame.topic.rpartition(".")[2]
    return [
        Kline(
            symbol=symbol,
            interval_min=_minutes(item.interval),
            start_ms=item.start,
            open=real(item.open),
            high=real(item.high),
            low=real(item.low),
            close=real(item.close),
            volume=real(item.volume),
            turnover=real(item.turnover),
            confirmed=item.confirm,
        )
        for item in sorted(frame.data, key=lambda item: item.start)
    ]


def klines_of_reply(reply: Mapping[str, object], *, symbol: str, interval_min: int) -> list[Kline]:
    """Oldest first. A bar is `confirmed` when it was already over at the reply's own server time."""
    server_ms = reply.get("time")
    if not isinstance(server_ms, int) or server_ms <= 0:
        raise MalformedMessage("a kline reply without the server's time", reason="time")
    bars = []
    for row in read(result_of(reply).get("list"), list[list[Number]]):
        if len(row) < 6:
            raise MalformedMessage(f"a kline row of {len(row)} fields", reason="kline")
        start_ms = whole(row[0])
        bars.append(
            Kline(
                symbol=symbol,
                interval_min=interval_min,
                start_ms=start_ms,
                open=real(row[1]),
                high=real(row[2]),
                low=real(row[3]),
                close=real(row[4]),
                volume=real(row[5]),
                turnover=real(row[6]) if len(row) > 6 else 0.0,
                confirmed=start_ms + interval_min * 60_000 <= server_ms,
            )
        )
    bars.sort(key=lambda bar: bar.start_ms)
    return bars


def _minutes(interval: str) -> int:
    if interval.isdigit():
        return int(interval)
    if interval in _INTERVALS_MIN:
        return _INTERVALS_MIN[interval]
    raise MalformedMessage(f"unknown kline interval {interval!r}", reason="kline")
