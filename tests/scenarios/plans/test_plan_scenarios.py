"""Every way through the life of a plan, played over the wire with the execution code of production."""

from pathlib import Path

import pytest
from django.core.management import call_command
from django.db import connection

from avigrid.exchange.simulator.scenarios.reading import BadScenario
from avigrid.kernel.errors import Bug
from trading.models import Plan
from trading.runtime.rehearsal import stage
from trading.runtime.rehearsal.document import load
from trading.runtime.rehearsal.play import play

HERE = Path(__file__).parent
FILES = sorted(HERE.glob("*.yaml"))


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_plan_lives_as_its_file_says(path: Path) -> None:
    outcome = play(load(path))
    assert outcome.held, "\n".join(str(finding) for finding in outcome.findings if not finding.held)
    assert outcome.findings


def test_every_path_has_its_file() -> None:
    """Both profiles, both directions, every way out."""
    rehearsals = [load(path) for path in FILES]
    assert len(rehearsals) >= 40
    assert {(one.plan.config.profile.value, one.plan.direction) for one in rehearsals} == {
        ("swing", 1), ("swing", -1), ("grid", 1), ("grid", -1)
    }  # fmt: skip
    ends = {
        (one.plan.config.profile.value, str(act.expect["plan"]))
        for one in rehearsals
        for act in one.acts
        if "plan" in act.expect
    }
    for profile in ("swing", "grid"):
        for reason in ("take_profit", "stop", "time", "funding", "operator", "kill_switch"):
            assert (profile, f"closed {reason}") in ends
        assert (profile, "failed_underfill underfill") in ends


WRONG = """
name: wrong on purpose
market: {price: 150}
plan: {profile: swing, direction: long, close: 150, atr: 0.25, r_usd: 20}
steps:
  - place: {}
    expect: {position: 9.1, stop: 148, orders: []}
"""


@pytest.mark.django_db(transaction=True)
def test_what_does_not_hold_is_named_with_what_was_found(tmp_path: Path) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text(WRONG)
    outcome = play(load(path))
    assert not outcome.held
    failed = [" ".join(str(finding).split()) for finding in outcome.findings if not finding.held]
    assert failed[0] == "FAIL 1s step 1 place: position is 9.1; found 9.2"
    assert failed[1].startswith("FAIL 1s step 1 place: orders is []; found ['take_profit 0.0 Sell 4.6 @ 152'")
    assert len(failed) == 2


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("market: {price: 1}", "plan.direction: must be long or short, got None"),
        ("plan: {direction: up}", "must be long or short, got 'up'"),
        ("plan: {direction: long, profile: martingale}", "profile must be one of swing, grid"),
        ("plan: {direction: long, profile: grid, config: {theta: 7}}", "theta must be a number from 0 to 1, got 7"),
        ("plan: {direction: long, profile: swing, close: x}", "plan.close: 'x' is no number"),
        ("market: {symbol: FOOUSDT}", "unknown symbol FOOUSDT"),
        ("steps: []", "exactly one step places the plan"),
        ("steps: [{place: {}}]", "expects nothing proves nothing"),
        ("steps: [{place: {}, price: 2}]", "step 1: exactly one of"),
        ("steps: [{operator: dance}]", "step 1.operator: must be one of close, break_even, cancel_entries"),
        ("steps: [{wait: soon}]", "'soon' is no duration"),
    ],
)
def test_a_file_that_cannot_be_played_says_where(tmp_path: Path, text: str, says: str) -> None:
    good = {
        "market": "market: {price: 150}",
        "plan": "plan: {profile: swing, direction: long, close: 150, atr: 0.25, r_usd: 20}",
        "steps": "steps: [{place: {}, expect: {position: 9.2}}]",
    }
    good[text.split(":")[0]] = text
    if text == "market: {price: 1}":
        good["plan"] = "plan: {}"
    path = tmp_path / "bad.yaml"
    path.write_text("\n".join(good.values()))
    with pytest.raises(BadScenario) as refused:
        load(path)
    assert str(path) in str(refused.value)
    assert says in str(refused.value)


@pytest.mark.django_db(transaction=True)
def test_an_unknown_view_is_named(tmp_path: Path) -> None:
    path = tmp_path / "view.yaml"
    path.write_text(WRONG.replace("position: 9.1", "weather: fine"))
    with pytest.raises(BadScenario, match="'weather' is no view"):
        play(load(path))


@pytest.mark.django_db(transaction=True)
def test_no_rehearsal_where_people_trade(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage, "is_scratch", lambda: False)
    with pytest.raises(Bug, match="may be thrown away"):
        play(load(FILES[0]))


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_the_command_plays_in_databases_of_its_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    here = connection.settings_dict["NAME"]
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(WRONG)
    with pytest.raises(SystemExit) as ended:
        call_command("run_scenario", str(HERE / "swing_operator_close.yaml"), str(wrong), quiet=True)
    assert ended.value.code == 1
    said = capsys.readouterr().out
    assert "Swing, short, an operator closes: held" in said
    assert "wrong on purpose: DID NOT HOLD" in said
    assert connection.settings_dict["NAME"] == here
    assert Plan.objects.count() == 0
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_database WHERE datname LIKE 'test_rehearsal_%%'", [])
        assert cursor.fetchone() == (0,)
