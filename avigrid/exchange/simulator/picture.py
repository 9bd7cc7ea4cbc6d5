"""A picture of a synthetic day, as SVG, to see with one's own eyes whether the market looks like one.

`python -m avigrid.exchange.simulator.picture FILE.svg [seed] [SYMBOL ...]`
"""

import sys
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

from avigrid.exchange.simulator.feed import HistoryBar
from avigrid.exchange.simulator.sources.synthetic import SyntheticSource

WIDTH, PANEL, GAP, LEFT = 1_000, 220, 34, 70
_VOLUME_SHARE = 0.18
_BARS = 288
_DAY_START_MS = 1_767_744_000_000
_UP, _DOWN, _TEXT, _LINE = "#2e8b57", "#b5443a", "#444444", "#dddddd"


def draw(symbols: Sequence[str], *, seed: int) -> str:
    """Five-minute candles and volumes of the last day before a fixed start, one panel per symbol."""
    source = SyntheticSource(tuple(symbols), seed=seed, start_ms=_DAY_START_MS)
    height = len(symbols) * (PANEL + GAP) + 10
    box = f'viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="12"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {box}>',
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
    ]
    for row, symbol in enumerate(symbols):
        bars = five_minutes(source.history(symbol)[1])[-_BARS:]
        parts += _panel(symbol, bars, top=row * (PANEL + GAP) + 24)
    return "\n".join([*parts, "</svg>"]) + "\n"


def five_minutes(minutes: Sequence[HistoryBar]) -> list[HistoryBar]:
    out = []
    first = next(i for i, bar in enumerate(minutes) if bar.start_ms % 300_000 == 0)
    for place in range(first, len(minutes) - 4, 5):
        five = minutes[place : place + 5]
        out.append(
            HistoryBar(
                five[0].start_ms,
                five[0].open,
                max(bar.high for bar in five),
                min(bar.low for bar in five),
                five[-1].close,
                sum((bar.volume for bar in five), Decimal(0)),
                sum((bar.turnover for bar in five), Decimal(0)),
            )
        )
    return out


def _panel(symbol: str, bars: Sequence[HistoryBar], *, top: int) -> list[str]:
    low, high = float(min(bar.low for bar in bars)), float(max(bar.high for bar in bars))
    most = float(max(bar.volume for bar in bars))
    price_height = PANEL * (1 - _VOLUME_SHARE)
    step = (WIDTH - LEFT - 10) / len(bars)

    def y(price: float) -> float:
        return top + price_height * (1 - (price - low) / (high - low))

    parts = [f'<text x="{LEFT}" y="{top - 8}" fill="{_TEXT}">{symbol}, one day of 5-minute bars</text>']
    for share in (0.0, 0.5, 1.0):
        price = low + (high - low) * share
        parts.append(f'<line x1="{LEFT}" x2="{WIDTH - 10}" y1="{y(price):.1f}" y2="{y(price):.1f}" stroke="{_LINE}"/>')
        parts.append(f'<text x="6" y="{y(price) + 4:.1f}" fill="{_TEXT}">{price:.6g}</text>')
    for colour, rising in ((_UP, True), (_DOWN, False)):
        wicks, bodies, volumes = [], [], []
        for place, bar in enumerate(bars):
            if (bar.close >= bar.open) is not rising:
                continue
            x = LEFT + step * (place + 0.5)
            upper, lower = y(float(max(bar.open, bar.close))), y(float(min(bar.open, bar.close)))
            wicks.append(f"M{x:.1f} {y(float(bar.high)):.1f}V{y(float(bar.low)):.1f}")
            bodies.append(f"M{x:.1f} {upper:.1f}V{max(lower, upper + 0.6):.1f}")
            reach = PANEL * _VOLUME_SHARE * float(bar.volume) / most
            volumes.append(f"M{x:.1f} {top + PANEL}v{-reach:.1f}")
        parts.append(f'<path d="{"".join(wicks)}" stroke="{colour}" stroke-width="0.7" fill="none"/>')
        parts.append(f'<path d="{"".join(bodies)}" stroke="{colour}" stroke-width="{step * 0.7:.2f}" fill="none"/>')
        style = f'stroke="{colour}" stroke-width="{step * 0.7:.2f}" opacity="0.35" fill="none"'
        parts.append(f'<path d="{"".join(volumes)}" {style}/>')
    return parts


def main(arguments: Sequence[str]) -> int:
    if not arguments:
        print("a file name is wanted: FILE.svg [seed] [SYMBOL ...]", file=sys.stderr)  # noqa: T201
        return 2
    seed = int(arguments[1]) if len(arguments) > 1 else 7
    symbols = tuple(arguments[2:]) or ("BTCUSDT", "SOLUSDT")
    Path(arguments[0]).write_text(draw(symbols, seed=seed), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
