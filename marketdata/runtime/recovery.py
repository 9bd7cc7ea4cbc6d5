"""What catching up brought."""

from dataclasses import dataclass

from avigrid.kernel.market import BookFeatures, Kline


@dataclass(frozen=True, slots=True)
class Recovery:
    complete_until_ms: dict[int, int]
    """Per interval: every bar that closed at or before this is stored, or the venue does not have it."""
    fetched: int
    """Bars REST gave that were missing, all intervals."""
    late: bool
    """The venue does not give the newest closed bar yet: ask again soon."""
    decisions: tuple[tuple[Kline, BookFeatures | None], ...]
    """Every stored decision bar (5m) since the start that was asked for, oldest first, with its stored features."""
