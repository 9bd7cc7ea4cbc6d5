"""What time it is at the exchange, as the execution process last measured it. On a simulated one it runs faster."""

from dataclasses import dataclass

from avigrid.common import heartbeats

EXECUTION_STALE_S = 15.0


@dataclass(frozen=True, slots=True)
class ExchangeTime:
    """`rate_ratio`: exchange milliseconds per local one. `age_s`: since the execution process last spoke."""

    now_ms: int
    rate_ratio: float
    offset_ms: int
    age_s: float

    @property
    def is_stale(self) -> bool:
        return self.age_s > EXECUTION_STALE_S


def process_name(account_id: int) -> str:
    """The heartbeat of the execution process of this account."""
    return f"execution:{account_id}"


def exchange_time(account_id: int) -> ExchangeTime | None:
    """None while no execution process of this account ever measured it."""
    wanted = process_name(account_id)
    life = next((row for row in heartbeats.lives() if row.process == wanted), None)
    if life is None or "exchange_ms" not in life.detail:
        return None
    rate = float(str(life.detail.get("rate_ratio", 1.0)))
    measured_ms = int(str(life.detail["exchange_ms"]))
    return ExchangeTime(
        now_ms=measured_ms + int(life.age_s * 1000 * rate),
        rate_ratio=rate,
        offset_ms=int(str(life.detail.get("offset_ms", 0))),
        age_s=life.age_s,
    )
