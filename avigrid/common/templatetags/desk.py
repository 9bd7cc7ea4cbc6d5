"""How numbers look on pages: plain decimals, thin thousands, a sign before money that was won or lost."""

import json
import re
from collections.abc import Sequence
from decimal import Decimal

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from avigrid.common.spoken import said, unit_name, worded

register = template.Library()
DASH = "–"
NARROW_SPACE = "\u202f"
NO_BREAK = "\u00a0"
_BEFORE_PERCENT = re.compile(r"(?<=\d) (?=%)")


def _grouped(value: Decimal, places: int) -> str:
    return f"{value:,.{places}f}".replace(",", NARROW_SPACE)


def _decimal(value: object) -> Decimal | None:
    if value is None or value == "":
        return None
    number = value if isinstance(value, Decimal) else Decimal(str(value))
    return number if number.is_finite() else None


@register.filter
def price(value: object) -> str:
    """In full, without trailing zeros."""
    number = _decimal(value)
    return DASH if number is None else plain_number(number)


@register.filter
def plain_number(value: object) -> str:
    number = _decimal(value)
    if number is None:
        return "0"
    text = format(number.normalize(), "f")
    return "0" if text == "-0" else text


@register.filter
def usd(value: object) -> str:
    number = _decimal(value)
    return DASH if number is None else _grouped(number, 2)


@register.filter
def usd_fine(value: object) -> str:
    number = _decimal(value)
    return DASH if number is None else _grouped(number, 4)


@register.filter
def money(value: object) -> str | SafeString:
    """A change of money, with its sign and the colour of it."""
    number = _decimal(value)
    if number is None:
        return DASH
    kind = "gain" if number > 0 else "loss" if number < 0 else ""
    sign = "+" if number > 0 else "−" if number < 0 else ""
    return format_html('<span class="money {}">{}{}</span>', kind, sign, _grouped(abs(number), 2))


@register.filter
def r_multiple(value: object) -> str | SafeString:
    number = _decimal(value)
    if number is None:
        return DASH
    kind = "gain" if number > 0 else "loss" if number < 0 else ""
    sign = "+" if number > 0 else "−" if number < 0 else ""
    return format_html('<span class="money {}">{}{} R</span>', kind, sign, _grouped(abs(number), 2))


@register.filter
def percent(ratio: object) -> str:
    number = _decimal(ratio)
    return DASH if number is None else f"{number * 100:.0f}{NO_BREAK}%"


@register.filter
def percent_fine(ratio: object) -> str:
    number = _decimal(ratio)
    return DASH if number is None else f"{number * 100:.2f}{NO_BREAK}%"


@register.filter
def change(ratio: object) -> str | SafeString:
    """A move of a price, signed and coloured, in percent."""
    number = _decimal(ratio)
    if number is None:
        return DASH
    kind = "gain" if number > 0 else "loss" if number < 0 else ""
    sign = "+" if number > 0 else "−" if number < 0 else ""
    return format_html('<span class="money {}">{}{} %</span>', kind, sign, f"{abs(number) * 100:.2f}")


@register.filter
def signed(value: object, places: int = 2) -> str:
    """With its sign, without colour: a measure, no money."""
    number = _decimal(value)
    if number is None:
        return DASH
    return f"{number:+.{int(places)}f}".replace("-", "−")


@register.filter
def magnitude(value: object) -> str:
    number = _decimal(value)
    return "0" if number is None else plain_number(abs(number))


@register.filter
def plain_float(value: object) -> str:
    """For attributes that a script or a drawing reads: a point, no grouping, whatever the language."""
    return plain_number(value)


@register.filter
def size(value: object) -> str:
    """A quantity from the market: enough digits to compare levels."""
    number = _decimal(value)
    return DASH if number is None else f"{float(number):,.6g}".replace(",", NARROW_SPACE)


@register.filter
def price_round(value: object) -> str:
    """An average: seven digits say all there is to know."""
    number = _decimal(value)
    return DASH if number is None else plain_number(Decimal(f"{number:.8g}"))


@register.filter
def words(code: object) -> str:
    """A stored code as a person says it."""
    return worded(code) or DASH


@register.filter(name="said")
def said_filter(text: object) -> str:
    """A sentence that is stored in English, in the reader's language; no line begins with a percent sign."""
    return _BEFORE_PERCENT.sub(NO_BREAK, said(str(text))) if text else ""


@register.filter
def json_lines(value: object) -> str:
    """A stored mapping, one name a line."""
    if not isinstance(value, dict):
        return ""
    return "\n".join(f"{name}: {json.dumps(item, ensure_ascii=False)}" for name, item in value.items())


@register.filter
def fixed(value: object, places: int) -> str:
    """A column of prices with the same number of digits."""
    number = _decimal(value)
    return DASH if number is None else f"{number:.{int(places)}f}"


@register.filter
def usd_whole(value: object) -> str:
    number = _decimal(value)
    return DASH if number is None else _grouped(number, 0)


@register.filter
def duration(seconds: object) -> str:
    """How long something took: 12 ms, 1.4 s, 3 min, 5 h, 2 d."""
    number = _decimal(seconds)
    if number is None:
        return DASH
    value = float(number)
    if value < 1:
        return f"{value * 1000:.0f} {unit_name('ms')}"
    if value < 120:
        return f"{value:.1f} {unit_name('s')}" if value < 10 else f"{value:.0f} {unit_name('s')}"
    for size_s, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if value >= 2 * size_s:
            return f"{value / size_s:.0f} {unit_name(unit)}"
    return f"{value:.0f} {unit_name('s')}"


@register.filter
def base_coin(symbol: object) -> str:
    """The coin of a USDT perpetual: what its sizes are counted in."""
    return str(symbol or "").removesuffix("USDT")


@register.filter
def unit(name: object) -> str:
    return unit_name(str(name or ""))


@register.filter
def measure(value: object) -> str:
    """A rule's value or limit: enough digits to compare, no more."""
    number = _decimal(value)
    if number is None:
        return DASH
    if abs(number) >= 10_000:
        text = _grouped(number, 0 if number == number.to_integral_value() or abs(number) >= 1_000_000 else 1)
    else:
        text = f"{float(number):.5g}"
    return text.replace("-", "−")


@register.filter
def heat_level(share: object) -> str:
    """A share from 0 to 1 as one of four shades; "" for nothing."""
    number = _decimal(share)
    return "" if number is None else str(1 + min(3, int(number * 4)))


@register.filter
def measure_change(value: object) -> str:
    """`measure` with its sign."""
    number = _decimal(value)
    if number is None:
        return DASH
    return f"+{measure(value)}" if number > 0 else measure(value)


@register.filter
def side_word(direction: int) -> str:
    return _("long") if direction > 0 else _("short")


@register.filter
def passed_count(rules: Sequence[object]) -> str:
    passed = sum(1 for rule in rules if getattr(rule, "passed", False))
    return _("%(passed)d of %(all)d rules passed") % {"passed": passed, "all": len(rules)}
