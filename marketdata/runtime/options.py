"""How patient the pipeline is. Times in `_ms` are the exchange's, in `_s` the wall's."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PipelineOptions:
    intervals_min: tuple[int, ...] = (1, 5, 15)
    decision_interval_min: int = 5
    companion_interval_min: int = 15
    """A decision bar that ends together with a bar of this interval waits until that one is stored too."""
    queue_size: int = 64
    """Jobs per symbol; at three intervals this is half an hour of bars."""
    late_ms: int = 2_500
    late_s: float = 1.0
    """A bar that is both late_ms and late_s overdue is asked for over REST."""
    companion_wait_s: float = 1.0
    tick_s: float = 0.5
    """How often an idle symbol looks at the clock."""
    slow_store_s: float = 2.0
    """A bar that was received this long ago and is not stored yet counts as delayed by the database."""
    retry_first_s: float = 0.2
    retry_max_s: float = 10.0
    clock_skew_ms: int = 1_000
    """Our clock may be this far behind the exchange's before a bar it confirms counts as not over."""
    fresh_features_ms: int = 10_000
    """A bar that REST gives within this time of its end is stored with the book of this moment."""
    rate_ratio: float = 1.0
    """How fast the exchange's clock runs against the wall's; above 1 only on a simulated one."""
    max_recovered_decisions: int = 12
    """Decision bars older than this many before now are stored, but nobody is called for them."""
    warm_up_bars: tuple[tuple[int, int], ...] = ((1, 60), (5, 320), (15, 100))
    drain_s: float = 15.0

    def backoff_s(self, failures: int) -> float:
        return min(self.retry_max_s, self.retry_first_s * 2 ** min(failures - 1, 10))
