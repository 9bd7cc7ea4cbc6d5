"""An open loop of requests: each starts at its planned time whether earlier ones are back or not, lateness counts."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field


@dataclass(slots=True)
class Line:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter


@dataclass(slots=True)
class Result:
    """Latencies from the planned start, and every status that was not 200."""

    took_s: list[float] = field(default_factory=list)
    refused: dict[int, int] = field(default_factory=dict)

    def quantile_ms(self, share: float) -> float:
        ordered = sorted(self.took_s)
        return round(ordered[min(int(len(ordered) * share), len(ordered) - 1)] * 1000, 1)

    def summary(self) -> dict[str, object]:
        return {
            "requests": len(self.took_s),
            "refused": self.refused,
            **{f"p{round(share * 100)}_ms": self.quantile_ms(share) for share in (0.5, 0.95, 0.99)},
            "max_ms": self.quantile_ms(1.0),
        }


Head = Callable[[int], Sequence[str]]


class OpenLoop:
    """Keeps idle connections as browsers and clients do; opens another where all are busy."""

    def __init__(self, host: str, port: int) -> None:
        self.host, self.port = host, port
        self._idle: list[Line] = []

    async def run(self, path: str, *, per_s: float, seconds: float, head: Head) -> Result:
        """`head(n)`: the header lines of the n-th request."""
        result = Result()
        begin_s = time.perf_counter() + 0.1
        running = []
        for number in range(int(per_s * seconds)):
            due_s = begin_s + number / per_s
            await asyncio.sleep(max(0.0, due_s - time.perf_counter()))
            running.append(asyncio.create_task(self._one(path, head(number), due_s, result)))
        await asyncio.gather(*running)
        return result

    async def _one(self, path: str, head: Sequence[str], due_s: float, result: Result) -> None:
        lines = [f"GET {path} HTTP/1.1", f"Host: {self.host}:{self.port}", "Accept: application/json", *head, "", ""]
        request = "\r\n".join(lines).encode()
        while True:
            is_kept = bool(self._idle)
            line = self._idle.pop() if is_kept else Line(*await asyncio.open_connection(self.host, self.port))
            line.writer.write(request)
            try:
                status = await self._answer(line)
            except (asyncio.IncompleteReadError, ConnectionError):
                if not is_kept:
                    raise
                line.writer.close()  # the server had closed it while it was idle: as any client, ask on another
                continue
            break
        result.took_s.append(time.perf_counter() - due_s)
        if status != 200:
            result.refused[status] = result.refused.get(status, 0) + 1
        self._idle.append(line)

    @staticmethod
    async def _answer(line: Line) -> int:
        head = (await line.reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        fields = {name.lower(): value.strip() for name, _, value in (row.partition(":") for row in head[1:])}
        if fields.get("transfer-encoding") == "chunked":
            while size := int((await line.reader.readline()).strip(), 16):
                await line.reader.readexactly(size + 2)
            await line.reader.readline()
        else:
            await line.reader.readexactly(int(fields["content-length"]))
        return int(head[0].split()[1])

    def close(self) -> None:
        for line in self._idle:
            line.writer.close()
