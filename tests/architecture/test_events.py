"""Every event has one shape: what is sent anywhere, the table of `avigrid.common.events` and docs/api.md agree."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from avigrid.common.events import EVENTS, PAGES_ONLY

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("avigrid", "accounts", "marketdata", "risk", "trading")


def sent() -> Iterator[tuple[str, str, tuple[str, ...] | None]]:
    """(where, kind, keys) of every `push.event(...)` and `push.send_now(...)`; keys None where they cannot be read."""
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text())):
                if not isinstance(node, ast.Call) or ast.unparse(node.func) not in ("push.event", "push.send_now"):
                    continue
                kind, payload = node.args
                keys = None
                if isinstance(payload, ast.Dict) and all(isinstance(key, ast.Constant) for key in payload.keys):
                    keys = tuple(str(key.value) for key in payload.keys if isinstance(key, ast.Constant))
                yield f"{path.relative_to(ROOT)}:{node.lineno}", ast.literal_eval(kind), keys


def test_what_is_sent_has_the_shape_of_its_kind() -> None:
    wrong = [
        f"{where} sends {kind} {keys}"
        for where, kind, keys in sent()
        if keys is None or sorted(keys) != sorted(EVENTS.get(kind, ("unknown kind",)))
    ]
    assert wrong == []
    assert {kind for _, kind, _ in sent()} == set(EVENTS)


def test_the_page_lists_them_all() -> None:
    section = (ROOT / "docs" / "api.md").read_text().partition("## Events")[2]
    rows = re.findall(r"^\| `(\w+)` \| ([^|]*) \|", section, re.MULTILINE)
    shown = {kind: tuple(re.findall(r"`(\w+)`", keys)) for kind, keys in rows}
    assert shown == {kind: keys for kind, keys in EVENTS.items() if kind not in PAGES_ONLY}


def test_fragments_wait_for_what_is_sent() -> None:
    from trading.runtime import fragments  # noqa: F401 - fills the registry
    from trading.runtime.screen import registry

    own = {"heartbeat"}  # the hub's, while nothing happens
    waited = {kind for fragment in registry._fragments.values() for kind in fragment.dirtied_by}
    assert waited - set(EVENTS) - own == set()
