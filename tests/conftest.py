"""Shared by every test: deterministic hypothesis, data folders that may be absent."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.utils import translation
from hypothesis import HealthCheck, settings

from tests.support import audit_flush

settings.register_profile(
    "avigrid",
    derandomize=True,
    deadline=None,
    max_examples=int(os.environ.get("AVIGRID_HYPOTHESIS_EXAMPLES", "100")),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
settings.load_profile("avigrid")
audit_flush.install()


@pytest.fixture(autouse=True)
def _no_language_left() -> Iterator[None]:
    """A request leaves its language behind on the thread: the next test begins in English all the same."""
    yield
    translation.deactivate()


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Recorded market data; never part of the project."""
    folder = os.environ.get("AVIGRID_DATA_DIR")
    if not folder or not Path(folder).is_dir():
        pytest.skip("AVIGRID_DATA_DIR names no folder with recorded market data")
    return Path(folder)


@pytest.fixture(scope="session")
def samples_dir() -> Path:
    """Recorded answers of the exchange; never part of the project."""
    folder = os.environ.get("AVIGRID_SAMPLES_DIR")
    if not folder or not Path(folder).is_dir():
        pytest.skip("AVIGRID_SAMPLES_DIR names no folder with recorded answers of the exchange")
    return Path(folder)
