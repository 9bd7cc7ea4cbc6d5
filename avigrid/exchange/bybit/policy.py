"""When a stream counts as silent or dead, how fast it comes back, and the tools (time, chance) it is given."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

_SILENCE_S: Mapping[str, float] = MappingProxyType({"orderbook": 25.0, "tickers": 25.0, "kline": 25.0})


@dataclass(frozen=True, slots=True)
class StreamPolicy:
    """Seconds of the wall, whatever the exchange's clock does. `silence_s` names the kinds of topic that may never be
    quiet for longer; kinds that are absent (trades of a sleepy symbol, private topics) may.
    """

    ping_every_s: float = 20.0
    pong_within_s: float = 8.0
    check_every_s: float = 1.0
    silence_s: Mapping[str, float] = field(default_factory=lambda: _SILENCE_S)
    tape_silence_s: float = 25.0
    """Trades may be quiet, but not for longer than this while the bars of their symbol grow."""
    open_timeout_s: float = 10.0
    login_within_s: float = 10.0
    answer_within_s: float = 15.0
    refused_again_s: float = 300.0
    backoff_first_s: float = 0.5
    backoff_max_s: float = 30.0
    backoff_after_refusal_s: float = 5.0
    stable_after_s: float = 60.0
    max_topics: int = 60
    """Per connection."""
    max_topic_chars: int = 18_000
    """Per connection; the venue allows 21,000."""
    topics_per_request: int = 10
    queue_size: int = 50_000


@dataclass(frozen=True, slots=True)
class StreamTools:
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep
    monotonic: Callable[[], float] = time.monotonic
    rng: random.Random = field(default_factory=random.Random)


def backoff_s(policy: StreamPolicy, failures: int, rng: random.Random) -> float:
    """Exponential with full jitter in the upper half: 0.5..1 of the step, so that many clients come back apart."""
    step_s = min(policy.backoff_max_s, policy.backoff_first_s * 2 ** min(failures, 16))
    return step_s * (0.5 + rng.random() / 2)
