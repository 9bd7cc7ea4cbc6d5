"""How Bybit pages: cursors handed back untouched, time windows of at most seven days, kline windows of 1000 bars."""

from collections.abc import Callable, Iterator, Mapping

from avigrid.exchange.bybit.codec.fields import MalformedMessage, result_of

Reply = Mapping[str, object]
MAX_KLINES = 1000
_WEEK_MS = 7 * 86_400_000
_MAX_PAGES = 10_000


def pages(fetch: Callable[[str], Reply]) -> Iterator[Reply]:
    """`fetch(cursor)` until the venue gives no cursor. The cursor is already escaped and must be sent as it came."""
    cursor = ""
    for _ in range(_MAX_PAGES):
        reply = fetch(cursor)
        yield reply
        following = result_of(reply).get("nextPageCursor")
        if not isinstance(following, str) or not following or not result_of(reply).get("list"):
            return
        if following == cursor:
            raise MalformedMessage("the same page cursor twice", reason="cursor")
        cursor = following
    raise MalformedMessage(f"more than {_MAX_PAGES} pages", reason="cursor")


def weeks(start_ms: int, end_ms: int) -> Iterator[tuple[int, int]]:
    """[start, end] cut into pieces the venue accepts, oldest first, both ends inclusive."""
    while start_ms <= end_ms:
        last_ms = min(start_ms + _WEEK_MS - 1, end_ms)
        yield start_ms, last_ms
        start_ms = last_ms + 1


def kline_windows(start_ms: int, end_ms: int, interval_min: int) -> Iterator[tuple[int, int]]:
    """First and last bar start of each request; no window holds more bars than one reply can."""
    step_ms = interval_min * 60_000
    first_ms = -(-start_ms // step_ms) * step_ms
    while first_ms <= end_ms:
        last_ms = min(first_ms + (MAX_KLINES - 1) * step_ms, end_ms)
        yield first_ms, last_ms
        first_ms += MAX_KLINES * step_ms
