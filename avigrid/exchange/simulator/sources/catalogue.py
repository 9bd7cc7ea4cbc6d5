"""The fifteen default perpetuals: filters, risk tiers, and the character of their made-up markets.

Filters follow Bybit's public instrument list of August 2026; the exchange revises them, nothing here is a promise.
"""

from dataclasses import dataclass
from decimal import Decimal

from avigrid.exchange.simulator.specs import InstrumentSpec, Tier, tiers_from_steps

D = Decimal


@dataclass(frozen=True, slots=True)
class Character:
    """What a synthetic market of this symbol is like. `sigma_5m` is the usual 5m log-return deviation."""

    base_price: float
    sigma_5m: float
    beta: float
    depth_usd: float
    """Outside size within 10 bps of mid, one side."""
    trades_per_s: float
    trade_usd: float


def _tiers(first_limit: str, mmr: str, max_leverage: str, rows: int = 12) -> tuple[Tier, ...]:
    """A ladder in Bybit's manner: every tier one more `first_limit`, maintenance a fifth more of the first, leverage
    1/(2 mmr).
    """
    steps = []
    base = D(mmr)
    for row in range(rows):
        rate = base * (1 + D(row) / 5)
        leverage = D(max_leverage) if row == 0 else min(D(max_leverage), (D("0.5") / rate).quantize(D("0.01")))
        steps.append((str(D(first_limit) * (row + 1)), str(rate), str(leverage)))
    return tiers_from_steps(tuple(steps))


_BTC_TIERS = tiers_from_steps(
    (
        ("2000000", "0.005", "100.00"),
        ("2600000", "0.0056", "90.00"),
        ("3200000", "0.0063", "80.00"),
        ("3800000", "0.0067", "75.00"),
        ("4400000", "0.0071", "70.00"),
        ("8000000", "0.01", "50.00"),
        ("20000000", "0.02", "25.00"),
        ("60000000", "0.05", "10.00"),
        ("200000000", "0.1", "5.00"),
    )
)


def _spec(
    symbol: str,
    *,
    tick: str,
    step: str,
    limit_qty: str,
    market_qty: str,
    scale: int,
    tiers: tuple[Tier, ...],
    symbol_id: int,
    launch_ms: int,
    max_price: str,
    cap: str = "0.01",
    ratio_x: str = "0.05",
    ratio_y: str = "0.1",
) -> InstrumentSpec:
    return InstrumentSpec(
        symbol=symbol,
        base_coin=symbol.removesuffix("USDT"),
        tick_size=D(tick),
        qty_step=D(step),
        max_limit_qty=D(limit_qty),
        max_market_qty=D(market_qty),
        tiers=tiers,
        price_scale=scale,
        max_price=D(max_price),
        max_leverage=tiers[0].max_leverage,
        funding_cap=D(cap),
        limit_ratio_x=D(ratio_x),
        limit_ratio_y=D(ratio_y),
        symbol_id=symbol_id,
        launch_ms=launch_ms,
    )


_SPECS = (
    _spec("BTCUSDT", tick="0.10", step="0.001", limit_qty="1500.000", market_qty="150.000", scale=2, tiers=_BTC_TIERS,
          symbol_id=5, launch_ms=1584230400000, max_price="1999999.80", cap="0.005", ratio_x="0.01", ratio_y="0.02"),
    _spec("ETHUSDT", tick="0.01", step="0.01", limit_qty="10000.00", market_qty="2000.00", scale=2,
          tiers=_tiers("1000000", "0.005", "100.00"), symbol_id=6, launch_ms=1615766400000, max_price="199999.98",
          cap="0.005", ratio_x="0.02", ratio_y="0.04"),
    _spec("SOLUSDT", tick="0.010", step="0.1", limit_qty="96000.0", market_qty="12000.0", scale=3,
          tiers=_tiers("50000", "0.005", "100.00"), symbol_id=38, launch_ms=1634256000000, max_price="199999.980",
          cap="0.005"),
    _spec("BNBUSDT", tick="0.10", step="0.01", limit_qty="940.00", market_qty="370.00", scale=2,
          tiers=_tiers("50000", "0.01", "50.00"), symbol_id=36, launch_ms=1624951080000, max_price="1999999.80"),
    _spec("XRPUSDT", tick="0.0001", step="0.1", limit_qty="7500000.0", market_qty="1500000.0", scale=4,
          tiers=_tiers("75000", "0.005", "100.00"), symbol_id=8, launch_ms=1620898440000, max_price="1999.9998",
          cap="0.005"),
    _spec("DOGEUSDT", tick="0.00001", step="1", limit_qty="43678900", market_qty="5991100", scale=5,
          tiers=_tiers("50000", "0.0065", "75.00"), symbol_id=33, launch_ms=1622630640000, max_price="199.99998",
          cap="0.0058"),
    _spec("ADAUSDT", tick="0.0001", step="1", limit_qty="1500000", market_qty="590000", scale=4,
          tiers=_tiers("25000", "0.0065", "75.00"), symbol_id=27, launch_ms=1610668800000, max_price="1999.9998",
          cap="0.0058"),
    _spec("AVAXUSDT", tick="0.001", step="0.1", limit_qty="110000.0", market_qty="22000.0", scale=3,
          tiers=_tiers("25000", "0.01", "50.00"), symbol_id=52, launch_ms=1631664000000, max_price="19999.998",
          ratio_x="0.02"),
    _spec("LINKUSDT", tick="0.001", step="0.1", limit_qty="41000.0", market_qty="15000.0", scale=3,
          tiers=_tiers("25000", "0.01", "50.00"), symbol_id=26, launch_ms=1514764800000, max_price="19999.998"),
    _spec("DOTUSDT", tick="0.0001", step="0.1", limit_qty="198890.0", market_qty="32140.0", scale=4,
          tiers=_tiers("25000", "0.01", "50.00"), symbol_id=28, launch_ms=1616060040000, max_price="1999.9998"),
    _spec("LTCUSDT", tick="0.01", step="0.1", limit_qty="8800.0", market_qty="3000.0", scale=2,
          tiers=_tiers("25000", "0.01", "50.00"), symbol_id=24, launch_ms=1514764800000, max_price="199999.98"),
    _spec("NEARUSDT", tick="0.0001", step="0.1", limit_qty="469060.0", market_qty="66470.0", scale=4,
          tiers=_tiers("25000", "0.01", "50.00"), symbol_id=68, launch_ms=1633910400000, max_price="1999.9998"),
    _spec("APTUSDT", tick="0.0001", step="0.01", limit_qty="800000.00", market_qty="160000.00", scale=4,
          tiers=_tiers("25000", "0.01", "50.00"), symbol_id=252, launch_ms=1666107272000, max_price="1999.9998"),
    _spec("SUIUSDT", tick="0.00010", step="10", limit_qty="330000", market_qty="66000", scale=5,
          tiers=_tiers("25000", "0.01", "50.00"), symbol_id=309, launch_ms=1683029724000, max_price="1999.99980"),
    _spec("ARBUSDT", tick="0.00001", step="0.1", limit_qty="21500000.0", market_qty="4300000.0", scale=5,
          tiers=_tiers("25000", "0.01", "50.00"), symbol_id=305, launch_ms=1679563660000, max_price="199.99998"),
)  # fmt: skip

SPECS: dict[str, InstrumentSpec] = {spec.symbol: spec for spec in _SPECS}
DEFAULT_SYMBOLS: tuple[str, ...] = tuple(SPECS)

CHARACTERS: dict[str, Character] = {
    "BTCUSDT": Character(96_400.0, 0.0013, 1.00, 9_000_000, 1.2, 22_500),
    "ETHUSDT": Character(3_420.0, 0.0017, 1.20, 6_000_000, 1.0, 15_000),
    "SOLUSDT": Character(172.0, 0.0021, 1.35, 3_500_000, 0.7, 8_750),
    "BNBUSDT": Character(912.0, 0.0014, 0.85, 1_800_000, 0.4, 6_250),
    "XRPUSDT": Character(2.31, 0.0019, 1.10, 2_600_000, 0.5, 6_250),
    "DOGEUSDT": Character(0.2140, 0.0023, 1.30, 2_000_000, 0.5, 5_000),
    "ADAUSDT": Character(0.7420, 0.0022, 1.20, 1_500_000, 0.3, 3_750),
    "AVAXUSDT": Character(24.30, 0.0023, 1.25, 1_400_000, 0.3, 3_750),
    "LINKUSDT": Character(17.90, 0.0022, 1.20, 1_500_000, 0.3, 3_750),
    "DOTUSDT": Character(4.120, 0.0022, 1.15, 1_300_000, 0.25, 3_000),
    "LTCUSDT": Character(104.5, 0.0018, 0.90, 1_300_000, 0.25, 3_000),
    "NEARUSDT": Character(2.740, 0.0025, 1.30, 1_200_000, 0.25, 3_000),
    "APTUSDT": Character(4.480, 0.0024, 1.25, 1_200_000, 0.25, 3_000),
    "SUIUSDT": Character(3.310, 0.0025, 1.35, 1_600_000, 0.35, 3_750),
    "ARBUSDT": Character(0.4080, 0.0025, 1.30, 1_200_000, 0.25, 3_000),
}


def generic_spec(symbol: str, price: Decimal) -> InstrumentSpec:
    """Filters for a replayed symbol that is not in the list: tick at five significant digits, step worth about a
    dollar.
    """
    exponent = price.adjusted()
    tick = D(1).scaleb(exponent - 4)
    step = D(1).scaleb(-exponent) if exponent >= 0 else D(1).scaleb(min(3, -exponent))
    scale = max(0, 4 - exponent)
    return _spec(
        symbol,
        tick=format(tick, "f"),
        step=format(step, "f"),
        limit_qty=format(step * 100_000, "f"),
        market_qty=format(step * 20_000, "f"),
        scale=scale,
        tiers=_tiers("25000", "0.01", "50.00"),
        symbol_id=1_000 + sum(map(ord, symbol)) % 1_000,
        launch_ms=1_600_000_000_000,
        max_price=format(tick * 19_999_998, "f"),
    )


def generic_character(price: float) -> Character:
    return Character(price, 0.0022, 1.2, 1_200_000, 0.3, 1_500)
