"""How often the execution process does what nobody wakes it for; seconds of the wall."""

from dataclasses import dataclass, field


@dataclass(slots=True)
class Timer:
    """Due every `every_s` seconds of the wall; the first time at once unless told otherwise."""

    every_s: float
    last_s: float = float("-inf")

    def due(self, now_s: float) -> bool:
        if now_s - self.last_s < self.every_s:
            return False
        self.last_s = now_s
        return True


@dataclass(slots=True)
class Timers:
    lease: Timer = field(default_factory=lambda: Timer(3.0))
    heartbeat: Timer = field(default_factory=lambda: Timer(1.0))
    step: Timer = field(default_factory=lambda: Timer(1.0))
    doubts: Timer = field(default_factory=lambda: Timer(2.0))
    orders: Timer = field(default_factory=lambda: Timer(10.0))
    positions: Timer = field(default_factory=lambda: Timer(30.0))
    wallet: Timer = field(default_factory=lambda: Timer(60.0))
    full: Timer = field(default_factory=lambda: Timer(300.0))
    audit: Timer = field(default_factory=lambda: Timer(60.0))
    clock: Timer = field(default_factory=lambda: Timer(10.0))
    key: Timer = field(default_factory=lambda: Timer(300.0))
    idle: Timer = field(default_factory=lambda: Timer(30.0))
    surroundings: Timer = field(default_factory=lambda: Timer(2.0))
