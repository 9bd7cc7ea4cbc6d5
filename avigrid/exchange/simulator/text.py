"""Numbers as Bybit prints them, and a deterministic maker of ids."""

from decimal import ROUND_DOWN, Decimal
from hashlib import blake2b

_EIGHT = Decimal("0.00000001")
_MASK = (1 << 128) - 1
_WEYL = 0x9E3779B97F4A7C15F39CC0605CEDC835
_MIX = 0xDB36357734E34ABB0050D0761FCDFC15


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
        self._base = int.from_bytes(blake2b(str(seed).encode(), digest_size=16).digest(), "big")
        self._count = 0

    def uuid(self) -> str:
        """The next one."""
        self._count += 1
        return self.at(self._count)

    def at(self, number: int) -> str:
        """The id of that number; lets a record keep a number and be named only when somebody reads it."""
        # A Weyl sequence through an invertible mix: no repeats in 2**128 steps, and far cheaper than a hash.
        mixed = (self._base + number * _WEYL) & _MASK
        mixed = ((mixed ^ mixed >> 67) * _MIX) & _MASK
        raw = f"{mixed ^ mixed >> 59:032x}"
        return f"{raw[:8]}-{raw[8:12]}-4{raw[13:16]}-a{raw[17:20]}-{raw[20:]}"
