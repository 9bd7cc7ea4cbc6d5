"""What every page must stand: axe in both themes on a phone and on a desk, nothing wider than the screen, a picture."""

from typing import Any

from tests.e2e.running_desk import ARTEFACTS, ROOT

AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"
THEMES = ("dark", "light")
WIDTHS = {390: 844, 1440: 900, 2560: 1300}
AXE_WIDTHS = (390, 1440)
"""A wider screen shows what 1440 pixels show."""
ALL_RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]
"""By level of WCAG; axe's own advice is never serious."""
COLOURS = ["color-contrast"]
_FINDINGS = """async (rules) => (await axe.run(document, {resultTypes: ["violations"], runOnly: rules})).violations
    .filter((found) => ["serious", "critical"].includes(found.impact))
    .map((found) => `${found.id}: ${found.nodes.slice(0, 3).map((node) => node.html.slice(0, 200)).join(" | ")}`)"""
_PAINTED = "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
_TOO_WIDE = "() => document.documentElement.scrollWidth - innerWidth"


def axe(page: Any, rules: list[str] = ALL_RULES) -> list[str]:
    """Serious findings of the page as it is now."""
    if not page.evaluate("() => 'axe' in window"):
        page.evaluate(AXE.read_text())
    return list(page.evaluate(_FINDINGS, rules))


def too_wide_px(page: Any) -> int:
    page.evaluate(_PAINTED)
    return int(page.evaluate(_TOO_WIDE))


def stands(page: Any, name: str, *, reload: bool = False, pictures: bool = True) -> None:
    """`reload`: for pages that look at the theme only when they are loaded."""
    ARTEFACTS.mkdir(parents=True, exist_ok=True)
    for theme in THEMES:
        page.emulate_media(color_scheme=theme)
        if reload:
            page.reload()
        for width, height in WIDTHS.items():
            page.set_viewport_size({"width": width, "height": height})
            too_wide = too_wide_px(page)
            assert too_wide <= 0, f"{name}, {width} px, {theme}: {too_wide} px stick out"
            if width in AXE_WIDTHS:
                # the second theme changes colours and nothing else
                found = axe(page, ALL_RULES if theme == THEMES[0] else COLOURS)
                assert not found, (name, width, theme, found)
            if pictures:
                page.screenshot(path=ARTEFACTS / f"{name}-{width}-{theme}.png", full_page=width < max(WIDTHS))


def faults(page: Any) -> list[str]:
    """Of one page at its present theme and width: axe's serious findings, and what sticks out."""
    found, too_wide = axe(page), too_wide_px(page)
    return [*found, f"{too_wide} px stick out"] if too_wide > 0 else found
