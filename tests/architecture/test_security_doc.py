"""The permission table in docs/security.md is the one in the code."""

from pathlib import Path

from accounts.permissions.table import ACTIONS, Door

DOC = Path(__file__).resolve().parents[2] / "docs" / "security.md"
BEGIN, END = "<!-- table:begin (kept equal to the code by a test) -->\n", "<!-- table:end -->"


def rows() -> str:
    lines = ["| action | least role | code entered within | meaning |\n|---|---|---|---|\n"]
    for action in ACTIONS.values():
        who = {Door.PUBLIC: "anybody", Door.SELF: "whoever is logged in"}.get(action.door, str(action.least))
        code = f"{action.code_within_s:g} s" if action.code_within_s is not None else ""
        lines.append(f"| `{action.name}` | {who} | {code} | {action.meaning} |\n")
    return "".join(lines)


def test_table_is_current() -> None:
    text = DOC.read_text()
    shown = text[text.index(BEGIN) + len(BEGIN) : text.index(END)]
    assert shown == rows()
