"""What open pages show, as pieces of HTML that can be rendered alone.

Every page is made of fragments; each knows the events that make it wrong. `trading.runtime.hub` paints them.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from django.template.loader import render_to_string
from django.utils import translation
from prometheus_client import Counter, Histogram

MOST_FRAGMENTS = 20
_ARGUMENT = re.compile(r"[A-Za-z0-9_-]{1,40}")

RENDERED = Counter("avigrid_fragments_rendered_total", "Fragments rendered", ["fragment"])
RENDER_SECONDS = Histogram("avigrid_fragment_render_seconds", "Time to render one fragment", ["fragment"])

type Context = dict[str, object]


@dataclass(frozen=True, slots=True)
class Reader:
    """All sockets with the same reader are shown the same bytes."""

    role: str
    language: str


@dataclass(frozen=True, slots=True)
class Fragment:
    """`template` renders one element with the id `fragment-{name}`; `dirtied_by` are event kinds.

    One with a `key` is a family: pages ask for `{name}:{argument}` (one symbol, one plan), and an event whose payload
    names another argument under `key` leaves it alone. `context(role, argument)`; the argument is "" otherwise.
    """

    name: str
    template: str
    context: Callable[[str, str], Context]
    dirtied_by: frozenset[str]
    key: str = ""


class Registry:
    def __init__(self) -> None:
        self._fragments: dict[str, Fragment] = {}

    def add(
        self, name: str, template: str, context: Callable[[str], Context], *, dirtied_by: Iterable[str]
    ) -> Fragment:
        return self._put(Fragment(name, template, lambda role, argument: context(role), frozenset(dirtied_by)))

    def add_family(
        self,
        name: str,
        template: str,
        context: Callable[[str, str], Context],
        *,
        key: str,
        dirtied_by: Iterable[str],
    ) -> Fragment:
        return self._put(Fragment(name, template, context, frozenset(dirtied_by), key))

    def _put(self, fragment: Fragment) -> Fragment:
        self._fragments[fragment.name] = fragment
        return fragment

    def __getitem__(self, name: str) -> Fragment:
        return self._fragments[name.partition(":")[0]]

    def known(self, names: Iterable[str]) -> frozenset[str]:
        return frozenset([name for name in names if self._is_known(name)][:MOST_FRAGMENTS])

    def _is_known(self, name: str) -> bool:
        base, _, argument = name.partition(":")
        fragment = self._fragments.get(base)
        if fragment is None or bool(fragment.key) != bool(argument):
            return False
        return not argument or _ARGUMENT.fullmatch(argument) is not None

    def dirtied_by(self, kind: str, payload: Mapping[str, object], shown: Iterable[str]) -> set[str]:
        """Those of `shown` that an event makes wrong."""
        return {name for name in shown if self._is_dirtied(name, kind, payload)}

    def _is_dirtied(self, name: str, kind: str, payload: Mapping[str, object]) -> bool:
        base, _, argument = name.partition(":")
        fragment = self._fragments[base]
        if kind not in fragment.dirtied_by:
            return False
        return not fragment.key or str(payload.get(fragment.key, argument)) == argument


registry = Registry()


def render(name: str, reader: Reader, *, out_of_band: bool) -> str:
    """One fragment as HTML; `out_of_band` marks it for swapping by its id."""
    fragment = registry[name]
    argument = name.partition(":")[2]
    with translation.override(reader.language), RENDER_SECONDS.labels(fragment=fragment.name).time():
        context = fragment.context(reader.role, argument)
        html = render_to_string(fragment.template, {**context, "role": reader.role, "oob": out_of_band})
    RENDERED.labels(fragment=fragment.name).inc()
    return html


def stale_bar(reader: Reader, *, is_stale: bool) -> str:
    """What stands above a page that cannot be kept right. It needs no database."""
    with translation.override(reader.language):
        return render_to_string("trading/partials/_stale.html", {"is_stale": is_stale})
