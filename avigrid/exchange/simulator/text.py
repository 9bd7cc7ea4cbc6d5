"""Numbers as Bybit prints them, and a deterministic maker of ids."""

from decimal import ROUND_DOWN, Decimal
from hashlib import blake2b

_EIGHT = Decimal("0.00000001")


def plain(value: Decimal) -> str:
    """Exact, no exponent, no trailing zeros."""
    if value == 0:
        return "0"
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def eight(value: Decimal) -> str:
    """Truncated to 8 decimals, trailing zeros cut: positions and wallets."""
    return plain(value.quantize(_EIGHT, ROUND_DOWN))


def four(value: Decimal) -> str:
    return plain(value.quantize(Decimal("0.0001"), ROUND_DOWN))


def decimals_of(value: Decimal) -> int:
    """Decimals as written: Decimal("0.10") has two."""
    exponent = value.as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


class IdMaker:
    """UUID-shaped ids from a seed: the n-th id of a seed is always the same."""

    def __init__(self, seed: int) -> None:
        self._key = seed.to_bytes(16, "big", signed=True)
        self._count = 0

    def uuid(self) -> str:
        self._count += 1
        raw = blake2b(self._count.to_bytes(8, "big"), digest_size=16, key=self._key).hexdigest()
        return f"{raw[:8]}-{raw[8:12]}-4{raw[13:16]}-a{raw[17:20]}-{raw[20:]}"

    @property
    def count(self) -> int:
        return self._count
