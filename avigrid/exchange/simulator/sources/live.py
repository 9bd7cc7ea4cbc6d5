"""`--source live`: the real public stream, so that paper trading runs on the real market. No key is ever needed.

Frames arrive on their own; the venue takes them when its clock passes. Each event is stamped with the time it is
taken at the earliest, because a venue's clock never goes back.
"""

import asyncio
import json
import logging
import urllib.error
import urllib.request
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import replace
from decimal import Decimal, InvalidOperation
from typing import Any

import websockets

from avigrid.exchange.simulator.feed import HistoryBar, SourceEvent
from avigrid.exchange.simulator.messages import parse_object
from avigrid.exchange.simulator.sources.catalogue import SPECS
from avigrid.exchange.simulator.sources.errors import BadSource
from avigrid.exchange.simulator.sources.frames import FrameDecoder
from avigrid.exchange.simulator.specs import InstrumentSpec

log = logging.getLogger(__name__)

STREAM_URL = "wss://stream.bybit.com/v5/public/linear"
REST_URL = "https://api.bybit.com"
_PING_S = 20.0
_SILENCE_S = 30.0
_RETRY_S = 2.0
_HISTORY_BARS = 1_000
_BACKLOG = 200_000


class LiveSource:
    def __init__(self, symbols: Sequence[str], *, url: str = "", rest_url: str = "", now_ms: int) -> None:
        self._specs = {symbol: SPECS[symbol] for symbol in symbols}
        self._url = url or STREAM_URL
        self._rest_url = rest_url or ("" if url else REST_URL)
        if not self._url.startswith(("ws://", "wss://")):
            raise BadSource(f"the live stream's address must begin with ws:// or wss://, got {self._url!r}")
        self._start_ms = now_ms
        self._latest_ms = now_ms
        self._waiting: deque[SourceEvent] = deque(maxlen=_BACKLOG)
        self.frames = 0
        self.connections = 0

    @property
    def start_ms(self) -> int:
        return self._start_ms

    def instruments(self) -> Sequence[InstrumentSpec]:
        return list(self._specs.values())

    def history(self, symbol: str) -> tuple[int, Sequence[HistoryBar]]:
        """The last 1,000 closed 5m bars by REST; none where that cannot be reached."""
        rows = self._asked(f"/v5/market/kline?category=linear&symbol={symbol}&interval=5&limit={_HISTORY_BARS}")
        try:
            bars = [_bar(row) for row in reversed(rows)]
        except (ValueError, TypeError, InvalidOperation) as error:
            log.warning("no history of %s: %s", symbol, error)
            return 5, ()
        return 5, [bar for bar in bars if bar.start_ms + 300_000 <= self._start_ms]

    def fundings(self, symbol: str) -> Sequence[tuple[int, Decimal]]:
        """The last 200 settlements by REST; none where that cannot be reached."""
        rows = self._asked(f"/v5/market/funding/history?category=linear&symbol={symbol}")
        try:
            return [(int(row["fundingRateTimestamp"]), Decimal(row["fundingRate"])) for row in reversed(rows)]
        except (KeyError, TypeError, ValueError, InvalidOperation) as error:
            log.warning("no funding history of %s: %s", symbol, error)
            return ()

    def _asked(self, path: str) -> list[Any]:
        if not self._rest_url:
            return []
        try:
            with urllib.request.urlopen(f"{self._rest_url}{path}", timeout=10) as answer:  # noqa: S310 - chosen by the operator
                rows: list[Any] = json.load(answer)["result"]["list"]
        except (urllib.error.URLError, OSError, ValueError, KeyError, TypeError) as error:
            log.warning("no answer to %s: %s", path, error)
            return []
        return rows

    def events_until(self, ms: int) -> Iterator[SourceEvent]:
        """Everything that has arrived; what the sender stamped later than `ms` (its clock is ahead of ours) waits."""
        waiting = self._waiting
        while waiting and waiting[0].time_ms <= ms:
            event = waiting.popleft()
            self._latest_ms = max(self._latest_ms, event.time_ms)
            yield replace(event, time_ms=self._latest_ms)

    async def feed(self) -> None:
        """Keeps the connection up until cancelled."""
        while True:
            try:
                await self._listen()
            except (OSError, websockets.WebSocketException, TimeoutError) as error:
                log.warning("live stream lost: %s", error)
            await asyncio.sleep(_RETRY_S)

    async def _listen(self) -> None:
        decoder = FrameDecoder(self._specs)
        async with websockets.connect(self._url, max_size=2**22, ping_interval=None) as socket:
            self.connections += 1
            topics = [
                f"{kind}.{symbol}" for symbol in self._specs for kind in ("orderbook.200", "publicTrade", "tickers")
            ]
            for start in range(0, len(topics), 30):
                await socket.send(json.dumps({"op": "subscribe", "args": topics[start : start + 30]}))
            pings = asyncio.create_task(self._ping(socket))
            try:
                while True:
                    async with asyncio.timeout(_SILENCE_S):
                        text = await socket.recv()
                    frame = parse_object(text if isinstance(text, str) else text.decode())
                    if frame is None:
                        continue
                    if frame.get("success") is False:
                        log.warning("live stream refuses: %s", frame.get("ret_msg"))
                    try:
                        self._waiting.extend(decoder.events(frame))
                    except ValueError as error:
                        log.warning("live frame skipped: %s", error)
                    self.frames += 1
            finally:
                pings.cancel()

    @staticmethod
    async def _ping(socket: websockets.ClientConnection) -> None:
        while True:
            await asyncio.sleep(_PING_S)
            await socket.send('{"op":"ping"}')


def _bar(row: list[str]) -> HistoryBar:
    first, high, low, close, volume, turnover = map(Decimal, row[1:7])
    return HistoryBar(int(row[0]), first, high, low, close, volume, turnover)
