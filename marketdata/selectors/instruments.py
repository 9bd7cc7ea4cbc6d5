"""What may be traded, as the kernel's words. Always read fresh: one indexed row costs a third of a millisecond."""

from decimal import Decimal

from avigrid.common.reading import read_once
from avigrid.kernel import instrument as kernel
from avigrid.kernel.errors import Rejected
from marketdata.models import Instrument

_EXACT = (
    "tick_size",
    "min_price",
    "max_price",
    "qty_step",
    "min_order_qty",
    "max_limit_qty",
    "max_market_qty",
    "min_notional",
    "max_leverage",
    "price_limit_ratio_x",
    "price_limit_ratio_y",
)
_OTHER = ("symbol", "base_coin", "quote_coin", "funding_interval_min", "status", "price_scale")


class UnknownInstrument(Rejected):
    """The symbol was never seen on the venue; `manage.py backfill --instruments` or the worker fetches the list."""

    code = "unknown_instrument"


@read_once
def instrument(symbol: str) -> kernel.Instrument:
    """Raises UnknownInstrument. `status` other than "Trading" means: manage what is open, open nothing."""
    found = instruments(symbol)
    if not found:
        raise UnknownInstrument(f"{symbol} is not a known instrument", symbol=symbol)
    return found[0]


def instruments(*symbols: str) -> list[kernel.Instrument]:
    """These, or all known ones, by symbol."""
    query = Instrument.objects.order_by("symbol")
    if symbols:
        query = query.filter(symbol__in=symbols)
    return [_to_kernel(row) for row in query.values(*_EXACT, *_OTHER)]


@read_once
def whitelist() -> tuple[str, ...]:
    """Symbols that are streamed, stored and decided on: chosen by the operator and listed by the venue."""
    return _symbols(in_whitelist=True, status="Trading")


def symbols_storing_trades() -> frozenset[str]:
    return frozenset(_symbols(stores_trades=True))


def symbols_logging_order_book() -> frozenset[str]:
    return frozenset(_symbols(logs_order_book=True))


def _symbols(**conditions: object) -> tuple[str, ...]:
    return tuple(Instrument.objects.filter(**conditions).order_by("symbol").values_list("symbol", flat=True))


def _to_kernel(row: dict[str, object]) -> kernel.Instrument:
    exact = {name: _shortest(row[name]) for name in _EXACT}
    return kernel.Instrument(**exact, **{name: row[name] for name in _OTHER})  # type: ignore[arg-type]


def _shortest(value: object) -> Decimal:
    """numeric(38,18) gives back eighteen decimals; the venue's own grain has none of them."""
    assert isinstance(value, Decimal)
    plain = value.normalize()
    return plain.quantize(Decimal(1)) if plain == plain.to_integral_value() else plain
