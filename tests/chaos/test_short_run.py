"""A few rounds of the real thing, on servers and processes of their own, in every run of the tests."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SEED = 187
"""Redis, execution after a send, execution while flattening, PostgreSQL."""
ROUNDS = 4


@pytest.mark.slow
def test_a_few_rounds_survive() -> None:
    environment = {name: value for name, value in os.environ.items() if name not in _SERVERS}
    environment["DJANGO_SETTINGS_MODULE"] = "avigrid.settings.dev"
    argv = ["-m", "tests.chaos", "--rounds", str(ROUNDS), "--seed", str(SEED), "--name", "chaos-short"]
    run = subprocess.run(
        [sys.executable, *argv], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stdout + run.stderr
    report = json.loads(run.stdout)
    assert (report["survived"], report["breaches"]) == (ROUNDS, [])
    assert report["kills"] == {"execution": 2, "market_data": 0, "worker": 0, "web": 0, "postgres": 1, "redis": 1}
    assert report["fault_points_hit"]["after_place"] == 1
    assert report["flattened_through_a_kill"] == 1
    assert report["fills"] > 0


_SERVERS = ("DATABASE_URL", "REDIS_URL", "AVIGRID_REDIS_PREFIX", "AVIGRID_TEST_RUN")
