"""Small charts as inline SVG: no script, no style attribute, nothing fetched; colours come from classes."""

from collections.abc import Sequence
from html import escape

WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 960, 272, 70, 24, 26


class Scale:
    """Maps [low, high] to [a, b]; a flat range maps to the middle."""

    def __init__(self, low: float, high: float, a: float, b: float) -> None:
        self._low, self._span, self._a, self._b = low, high - low, a, b

    def __call__(self, value: float) -> float:
        share = (value - self._low) / self._span if self._span else 0.5
        return self._a + share * (self._b - self._a)


def lines(
    series: Sequence[tuple[str, Sequence[float]]],
    x: Sequence[float],
    *,
    title: str,
    unit: str,
    x_labels: Sequence[tuple[float, str]] = (),
    marks: Sequence[tuple[float, float, str, str]] = (),
) -> str:
    """Polylines (class name, values) over common x; marks are (x, y, class, tooltip)."""
    values = [v for _, ys in series for v in ys] + [y for _, y, _, _ in marks]
    low, high = min(values, default=0.0), max(values, default=1.0)
    to_x = Scale(min(x, default=0), max(x, default=1), LEFT, WIDTH - 8)
    to_y = Scale(low, high, HEIGHT - BOTTOM, TOP)
    parts = [_axis(low, high, to_y, unit)]
    parts += [_label(to_x(at), HEIGHT - 6, text, "middle") for at, text in x_labels]
    for name, ys in series:
        points = " ".join(f"{to_x(a):.1f},{to_y(b):.1f}" for a, b in zip(x, ys, strict=True))
        parts.append(f'<polyline class="{escape(name)}" fill="none" points="{points}"/>')
    for a, b, name, tip in marks:
        where = f'cx="{to_x(a):.1f}" cy="{to_y(b):.1f}" r="2.5"'
        parts.append(f'<circle class="{escape(name)}" {where}><title>{escape(tip)}</title></circle>')
    return _frame(title, parts)


def bars(rows: Sequence[tuple[str, float, str]], *, title: str, unit: str, losses: Sequence[bool] | None = None) -> str:
    """One bar a row: label, value, tooltip. Losses (values below zero unless told otherwise) have their own class."""
    low = min([0.0, *(value for _, value, _ in rows)])
    high = max([0.0, *(value for _, value, _ in rows)])
    to_y = Scale(low, high if high > low else low + 1, HEIGHT - BOTTOM, TOP)
    step = (WIDTH - 8 - LEFT) / max(len(rows), 1)
    parts = [_axis(low, high, to_y, unit)]
    every = max(1, len(rows) // 24)
    for index, (label, value, tip) in enumerate(rows):
        x = LEFT + index * step
        top, bottom = min(to_y(value), to_y(0)), max(to_y(value), to_y(0))
        name = "loss" if (value < 0 if losses is None else losses[index]) else "gain"
        parts.append(
            f'<rect class="{name}" x="{x + step * 0.1:.1f}" y="{top:.1f}" width="{step * 0.8:.1f}" '
            f'height="{bottom - top:.1f}"><title>{escape(tip)}</title></rect>'
        )
        if index % every == 0:
            parts.append(_label(x + step / 2, HEIGHT - 6, label, "middle"))
    return _frame(title, parts)


def _axis(low: float, high: float, to_y: Scale, unit: str) -> str:
    parts = []
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        value = low + share * (high - low)
        y = to_y(value)
        parts.append(f'<line class="rule" x1="{LEFT}" x2="{WIDTH - 8}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(_label(LEFT - 6, y + 4, _short(value), "end"))
    parts.append(_label(LEFT - 6, 10, unit, "end"))
    if low < 0 < high:
        parts.append(f'<line class="zero" x1="{LEFT}" x2="{WIDTH - 8}" y1="{to_y(0):.1f}" y2="{to_y(0):.1f}"/>')
    return "".join(parts)


def _label(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _short(value: float) -> str:
    if abs(value) >= 10_000:
        return f"{value:,.0f}"
    return f"{value:.2f}" if abs(value) < 100 else f"{value:.1f}"


def _frame(title: str, parts: Sequence[str]) -> str:
    return (
        f'<figure><figcaption>{escape(title)}</figcaption><svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="{escape(title)}">{"".join(parts)}</svg></figure>'
    )
