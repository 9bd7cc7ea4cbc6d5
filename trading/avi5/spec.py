"""A plan before its first order: prices, sizes and the loss it may cost. Stored as JSON with texts for decimals."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from avigrid.kernel.errors import Bug
from avigrid.kernel.money import ZERO, floor_to_step
from avigrid.kernel.orders import Side
from trading.avi5.config import Profile

type SpecJson = str | int | None | list[SpecJson] | dict[str, SpecJson]


class Refusal(StrEnum):
    """Why a plan cannot be placed."""

    BELOW_MINIMUM = "below_minimum"
    NO_DISTANCE = "no_distance"
    STOP_NOT_POSITIVE = "stop_not_positive"
    TAKE_PROFIT_NOT_POSITIVE = "take_profit_not_positive"
    STEP_BELOW_TICK = "step_below_tick"
    PRICE_OUT_OF_RANGE = "price_out_of_range"


@dataclass(frozen=True, slots=True)
class Grain:
    """The instrument's filters a plan must keep to."""

    tick_size: Decimal
    qty_step: Decimal
    min_order_qty: Decimal
    min_notional: Decimal
    max_limit_qty: Decimal
    max_market_qty: Decimal


@dataclass(frozen=True, slots=True)
class RungSpec:
    """`price` is the planned entry (and where a grid rung is re-armed), `limit_price` what the first order says.

    `take_profit` is the rung's own exit in a grid, None in a swing.
    """

    rung: int
    price: Decimal
    limit_price: Decimal
    quantity: Decimal
    is_post_only: bool
    take_profit: Decimal | None
    loss_usd: Decimal
    """Planned loss of this rung at the stop, fees of both ways included."""


@dataclass(frozen=True, slots=True)
class TakeProfitSpec:
    price: Decimal
    share: Decimal


@dataclass(frozen=True, slots=True)
class PlanSpec:
    """`distance` is d in price; `planned_loss_usd` <= `r_usd`. `refusal` set: shown, never placed."""

    symbol: str
    direction: int
    profile: Profile
    entry: Decimal
    stop: Decimal
    distance: Decimal
    rungs: tuple[RungSpec, ...]
    take_profits: tuple[TakeProfitSpec, ...]
    """The swing's ladder; empty in a grid."""
    r_usd: Decimal
    planned_loss_usd: Decimal
    expected_fees_usd: Decimal
    """Entry and stop of everything, as part of the planned loss."""
    taker_fee: Decimal
    maker_fee: Decimal
    grain: Grain
    refusal: Refusal | None
    config_hash: str

    @property
    def is_placeable(self) -> bool:
        return self.refusal is None

    @property
    def is_grid(self) -> bool:
        """Rungs carry their own take-profits."""
        return not self.take_profits and any(rung.take_profit is not None for rung in self.rungs)

    @property
    def side(self) -> Side:
        return Side.from_direction(self.direction)

    @property
    def quantity(self) -> Decimal:
        return sum((rung.quantity for rung in self.rungs), ZERO)

    @property
    def notional_usd(self) -> Decimal:
        return sum((rung.quantity * rung.price for rung in self.rungs), ZERO)

    def to_json(self) -> dict[str, SpecJson]:
        return {
            "symbol": self.symbol,
            "direction": self.direction,
            "profile": self.profile.value,
            "entry": str(self.entry),
            "stop": str(self.stop),
            "distance": str(self.distance),
            "rungs": [
                {
                    "rung": rung.rung,
                    "price": str(rung.price),
                    "limit_price": str(rung.limit_price),
                    "quantity": str(rung.quantity),
                    "is_post_only": int(rung.is_post_only),
                    "take_profit": None if rung.take_profit is None else str(rung.take_profit),
                    "loss_usd": str(rung.loss_usd),
                }
                for rung in self.rungs
            ],
            "take_profits": [{"price": str(tp.price), "share": str(tp.share)} for tp in self.take_profits],
            "r_usd": str(self.r_usd),
            "planned_loss_usd": str(self.planned_loss_usd),
            "expected_fees_usd": str(self.expected_fees_usd),
            "taker_fee": str(self.taker_fee),
            "maker_fee": str(self.maker_fee),
            "grain": {name: str(getattr(self.grain, name)) for name in _GRAIN_FIELDS},
            "refusal": None if self.refusal is None else self.refusal.value,
            "config_hash": self.config_hash,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, object]) -> "PlanSpec":
        try:
            return _spec_from(data)
        except (KeyError, TypeError, ValueError, ArithmeticError) as error:
            raise Bug(f"a stored plan cannot be read: {error!r}", code="plan_spec") from error


_GRAIN_FIELDS = ("tick_size", "qty_step", "min_order_qty", "min_notional", "max_limit_qty", "max_market_qty")


def split_exits(quantity: Decimal, shares: tuple[Decimal, ...], grain: Grain) -> tuple[Decimal, ...]:
    """`quantity` over the take-profits: each on step, the sum exact, the last takes the remainder.

    A part below the smallest order is given to its neighbour (0 in the answer: no such exit).
    """
    parts = [floor_to_step(quantity * share, grain.qty_step) for share in shares[:-1]]
    parts.append(quantity - sum(parts, ZERO))
    last = len(parts) - 1
    for index in range(last):
        if ZERO < parts[index] < grain.min_order_qty:
            parts[last] += parts[index]
            parts[index] = ZERO
    if ZERO < parts[last] < grain.min_order_qty:
        for index in range(last - 1, -1, -1):
            if parts[index] > 0:
                parts[index] += parts[last]
                parts[last] = ZERO
                break
    return tuple(parts)


def _spec_from(data: Mapping[str, object]) -> PlanSpec:
    rungs, take_profits, grain = data["rungs"], data["take_profits"], data["grain"]
    if not isinstance(rungs, list) or not isinstance(take_profits, list) or not isinstance(grain, dict):
        raise TypeError("rungs and take_profits must be lists, grain a mapping")
    return PlanSpec(
        symbol=str(data["symbol"]),
        direction=int(str(data["direction"])),
        profile=Profile(str(data["profile"])),
        entry=Decimal(str(data["entry"])),
        stop=Decimal(str(data["stop"])),
        distance=Decimal(str(data["distance"])),
        rungs=tuple(
            RungSpec(
                rung=int(row["rung"]),
                price=Decimal(row["price"]),
                limit_price=Decimal(row["limit_price"]),
                quantity=Decimal(row["quantity"]),
                is_post_only=bool(row["is_post_only"]),
                take_profit=None if row["take_profit"] is None else Decimal(row["take_profit"]),
                loss_usd=Decimal(row["loss_usd"]),
            )
            for row in rungs
        ),
        take_profits=tuple(
            TakeProfitSpec(price=Decimal(row["price"]), share=Decimal(row["share"])) for row in take_profits
        ),
        r_usd=Decimal(str(data["r_usd"])),
        planned_loss_usd=Decimal(str(data["planned_loss_usd"])),
        expected_fees_usd=Decimal(str(data["expected_fees_usd"])),
        taker_fee=Decimal(str(data["taker_fee"])),
        maker_fee=Decimal(str(data["maker_fee"])),
        grain=Grain(**{name: Decimal(grain[name]) for name in _GRAIN_FIELDS}),
        refusal=None if data["refusal"] is None else Refusal(str(data["refusal"])),
        config_hash=str(data["config_hash"]),
    )
