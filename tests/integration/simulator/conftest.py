"""One running simulated exchange per test."""

from collections.abc import Iterator

import pytest

from tests.support.simulator_server import Running, running_simulator


@pytest.fixture
def simulator() -> Iterator[Running]:
    with running_simulator() as running:
        yield running
