"""One running simulated exchange per test, on a market that wanders around fixed prices."""

from collections.abc import Iterator

import pytest

from avigrid.exchange.simulator.sources.path import Line, PathSource
from tests.support.simulator_server import START_MS, Running, running_simulator


def quiet_market() -> PathSource:
    lines = {
        "BTCUSDT": Line(points=((0.0, 97_000.0),), noise_bps=1.0),
        "SOLUSDT": Line(points=((0.0, 172.0),), noise_bps=2.0),
    }
    return PathSource(lines, start_ms=START_MS, seed=7)


@pytest.fixture
def simulator() -> Iterator[Running]:
    with running_simulator(source=quiet_market()) as running:
        yield running


@pytest.fixture
def stepped() -> Iterator[Running]:
    """Its clock moves only by POST /sim/clock."""
    with running_simulator(source=quiet_market(), speed=0) as running:
        yield running
