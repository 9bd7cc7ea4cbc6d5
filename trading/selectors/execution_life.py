"""What the execution processes say of themselves with each sign of life: streams, queue, protection, problems."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from avigrid.common import heartbeats
from trading.selectors.alive import is_alive, process_label


@dataclass(frozen=True, slots=True)
class ExecutionLife:
    """`unprotected_qty`: held without a confirmed stop; the only good value is 0. `queue`: waiting in its inbox."""

    label: str
    is_alive: bool
    stream: str
    is_ready: bool
    reconciliation: str
    queue: int
    unprotected_qty: Decimal
    redis_down: bool
    problems: Sequence[str]
    flattening: Sequence[str]

    @property
    def stream_is_up(self) -> bool:
        return self.is_alive and self.stream == "up"


def execution_lives() -> list[ExecutionLife]:
    found = []
    for life in heartbeats.lives():
        if life.process.partition(":")[0] != "execution":
            continue
        told = life.detail
        found.append(
            ExecutionLife(
                label=process_label(life.process),
                is_alive=is_alive(life),
                stream=str(told.get("stream", "")),
                is_ready=bool(told.get("is_ready")),
                reconciliation=str(told.get("reconciliation", "")),
                queue=int(str(told.get("queue", 0))),
                unprotected_qty=_amount(told.get("unprotected_qty")),
                redis_down=bool(told.get("redis_down")),
                problems=_words(told.get("problems")),
                flattening=_words(told.get("flattening")),
            )
        )
    return found


def _amount(value: object) -> Decimal:
    try:
        return Decimal(str(value or 0))
    except InvalidOperation:
        return Decimal(0)


def _words(value: object) -> list[str]:
    if isinstance(value, dict):
        return [f"{name}: {text}" for name, text in value.items()]
    return [str(item) for item in value] if isinstance(value, list | tuple) else []
