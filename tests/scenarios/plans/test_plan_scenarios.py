"""Every way through the life of a plan, played over the wire with the execution code of production."""

from pathlib import Path

import pytest

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
