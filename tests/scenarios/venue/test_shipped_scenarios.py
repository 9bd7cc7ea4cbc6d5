"""The shipped scenarios of the simulated exchange hold, and a scenario that does not hold says so."""

from pathlib import Path

import pytest

from avigrid.exchange.simulator.scenarios.document import BadScenario, load
from avigrid.exchange.simulator.scenarios.runner import run

HERE = Path(__file__).parent
FILES = sorted(HERE.glob("*.yaml"))


def test_there_are_at_least_ten() -> None:
    assert len(FILES) >= 10
    assert "october_2025_crash" in [path.stem for path in FILES]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_shipped_scenario_holds(path: Path) -> None:
    outcome = run(load(path))
    assert outcome.held, "\n".join(str(finding) for finding in outcome.findings if not finding.held)


def test_two_runs_are_equal() -> None:
    path = HERE / "grid_round_trips.yaml"
    assert [str(f) for f in run(load(path)).findings] == [str(f) for f in run(load(path)).findings]


BROKEN = """
name: wrong on purpose
boot: {path: {BTCUSDT: 60000}}
steps:
  - at: 1s
    order: {symbol: BTCUSDT, side: Buy, qty: 0.01, orderLinkId: a}
  - order: {symbol: BTCUSDT, side: Buy, qty: 0.01, price: 59000, orderLinkId: b, expect: no_answer}
end: 2s
checks:
  - {that: position.BTCUSDT.size, is: 0.02}
  - {that: position.BTCUSDT.size, is: 0.01}
"""


def test_what_does_not_hold_is_reported_with_time_and_finding(tmp_path: Path) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text(BROKEN)
    outcome = run(load(path))
    assert not outcome.held
    failed = [str(finding).split() for finding in outcome.findings if not finding.held]
    assert [" ".join(words) for words in failed] == [
        "FAIL 1s step 2: order b gets no answer; found retCode 0",
        "FAIL 2s position.BTCUSDT.size is 0.02; found position.BTCUSDT.size = '0.01'",
    ]
    assert sum(finding.held for finding in outcome.findings) == 2


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[", "not YAML"),
        ("- 1", "the file: a mapping is wanted"),
        ("boot: {path: {BTCUSDT: 1}}", "a scenario without a check proves nothing"),
        ("boot: {}\nchecks: [{that: orders.open, is: 0}]", "exactly one of path, synthetic, replay"),
        ("boot: {path: {BTCUSDT: 1}, bot: 2}\nchecks: [{that: orders.open, is: 0}]", "boot: unknown bot"),
        (
            "boot: {path: {BTCUSDT: 1}}\nsteps: [{at: soon, cancel_all: x}]\nchecks: [{that: a, is: 0}]",
            "'soon' is no duration",
        ),
        ("boot: {path: {BTCUSDT: 1}}\nsteps: [{at: 1}]\nchecks: [{that: a, is: 0}]", "step 1: exactly one of"),
        ("boot: {path: {BTCUSDT: 1}}\nsteps: [{at: 9, check: {that: a, is: 1}}, {at: 2, clear: all}]", "lies before"),
        ("boot: {path: {BTCUSDT: 60000}}\nchecks: [{that: weather.today, is: 0}]", "'weather' is no view"),
        ("boot: {path: {FOOUSDT: 60000}}\nchecks: [{that: orders.open, is: 0}]", "unknown symbol FOOUSDT"),
        (
            "boot: {path: {BTCUSDT: 60000}}\nsteps: [{fault: {name: gremlin}}]\nchecks: [{that: orders.open, is: 0}]",
            "step 1: no fault is called 'gremlin'",
        ),
    ],
)
def test_a_file_that_cannot_be_run_says_where(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(BadScenario) as refused:
        run(load(path))
    assert str(path) in str(refused.value)
    assert says in str(refused.value)
