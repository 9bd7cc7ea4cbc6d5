"""How numbers look on pages: plain decimals, thin thousands, a sign before money that was won or lost."""

from collections.abc import Sequence
from decimal import Decimal

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

register = template.Library()
DASH = "–"
NARROW_SPACE = "\u202f"


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
    return DASH if number is None else f"{number * 100:.0f} %"


@register.filter
def percent_fine(ratio: object) -> str:
    number = _decimal(ratio)
    return DASH if number is None else f"{number * 100:.2f} %"


@register.filter
def measure(value: object) -> str:
    """A rule's value or limit: enough digits to compare, no more."""
    number = _decimal(value)
    return DASH if number is None else f"{float(number):.5g}"


@register.filter
def side_word(direction: int) -> str:
    return _("long") if direction > 0 else _("short")


@register.filter
def passed_count(rules: Sequence[object]) -> str:
    passed = sum(1 for rule in rules if getattr(rule, "passed", False))
    return _("%(passed)d of %(all)d rules passed") % {"passed": passed, "all": len(rules)}
