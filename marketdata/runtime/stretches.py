"""Cut one symbol's order-book stream into stretches that can be replayed alone: each begins with a snapshot."""

from avigrid.kernel.market import BookUpdate
from marketdata.runtime.ports import Book

STRETCH_MESSAGES = 1_500
STRETCH_MS = 30_000


class StretchCutter:
    def __init__(self) -> None:
        self._open: list[BookUpdate] = []

    def take(self, update: BookUpdate, book: Book) -> list[BookUpdate] | None:
        """After `book` took `update`; returns the stretch that this one ended.

        A book nobody may trust ends the stretch; the next one begins with the book's state, or a snapshot of the venue.
        """
        if not book.is_ready:
            return self.finish()
        ended = None
        if self._open and (
            update.is_snapshot
            or len(self._open) >= STRETCH_MESSAGES
            or update.matched_ms - self._open[0].matched_ms >= STRETCH_MS
        ):
            ended = self.finish()
        self._open.append(update if self._open or update.is_snapshot else _whole(update, book))
        return ended

    def finish(self) -> list[BookUpdate] | None:
        ended, self._open = self._open, []
        return ended or None


def _whole(update: BookUpdate, book: Book) -> BookUpdate:
    """The whole book as it stands after `update`."""
    return BookUpdate(
        symbol=update.symbol,
        depth=update.depth,
        is_snapshot=True,
        bids=tuple(book.bids()),
        asks=tuple(book.asks()),
        update_id=update.update_id,
        seq=update.seq,
        matched_ms=update.matched_ms,
        sent_ms=update.sent_ms,
    )
