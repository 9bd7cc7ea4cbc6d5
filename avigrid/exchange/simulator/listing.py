"""Lists as Bybit pages them: newest first, a limit, a time window of at most seven days, an escaped cursor."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import quote, unquote

from avigrid.exchange.simulator import params as read
from avigrid.exchange.simulator.params import Params
from avigrid.exchange.simulator.refusals import bad_parameter

DAY_MS = 86_400_000
WEEK_MS = 7 * DAY_MS


@dataclass(frozen=True, slots=True)
class Window:
    start_ms: int
    end_ms: int

    def holds(self, ms: int) -> bool:
        return self.start_ms <= ms <= self.end_ms


def window(params: Params, now_ms: int, default_ms: int = WEEK_MS) -> Window:
    """None given: the last `default_ms`; one given: seven days from it or up to it; both: at most seven days apart."""
    start, end = read.integer(params, "startTime"), read.integer(params, "endTime")
    if start is not None and end is not None:
        if end < start:
            raise bad_parameter("startTime is later than endTime")
        if end - start > WEEK_MS:
            raise bad_parameter("The time range between startTime and endTime cannot exceed 7 days")
        return Window(start, end)
    if start is not None:
        return Window(start, start + WEEK_MS)
    if end is not None:
        return Window(end - WEEK_MS, end)
    return Window(now_ms - default_ms, now_ms)


def page[T](items: Sequence[T], params: Params, size: int, key: Callable[[T], tuple[str, int]]) -> tuple[list[T], str]:
    """`items` newest first, `key` = (id, ms). The cursor names the first and last item shown; "" = last page."""
    start = 0
    cursor = read.text(params, "cursor")
    if cursor:
        last_id = unquote(unquote(cursor)).rpartition(",")[2].rpartition(":")[0]
        for place, item in enumerate(items):
            if key(item)[0] == last_id:
                start = place + 1
                break
        else:
            raise bad_parameter("cursor invalid")
    shown = list(items[start : start + size])
    if not shown or start + size >= len(items):
        return shown, ""
    first, last = key(shown[0]), key(shown[-1])
    return shown, quote(f"{first[0]}:{first[1]},{last[0]}:{last[1]}", safe="")
