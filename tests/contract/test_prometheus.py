"""Alert rules and what surrounds them, checked by Prometheus' own tools and against the metrics we expose."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from django_prometheus.middleware import Metrics
from prometheus_client import REGISTRY

import trading.runtime.gauges
import trading.runtime.market_loop
import trading.services.measures  # noqa: F401
from avigrid.common import dependencies

ROOT = Path(__file__).resolve().parents[2]
PROMETHEUS = ROOT / "deploy" / "prometheus"
RULES = PROMETHEUS / "alert_rules.yml"
RUNBOOKS = ROOT / "docs" / "runbooks"
PROMISED = {
    *("no_ws_data", "high_error_rate_bybit", "kill_switch_triggered", "db_replication_lag", "http_5xx", "http_latency"),
    *("bybit_latency", "redis_down", "db_down", "slippage_spike", "wr_drop", "max_drawdown", "unprotected_position"),
    *("reconciliation_critical", "heartbeat"),
}


def _run(tool: str, *arguments: str) -> str:
    if shutil.which(tool) is None:
        pytest.skip(f"{tool} is not installed here")
    done = subprocess.run([tool, *arguments], cwd=PROMETHEUS, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def _rules() -> list[dict[str, Any]]:
    content = yaml.safe_load(RULES.read_text())
    return [rule for group in content["groups"] for rule in group["rules"]]


def test_promtool_accepts_the_configuration() -> None:
    assert "SUCCESS" in _run("promtool", "check", "config", "prometheus.yml")


def test_promtool_accepts_the_rules() -> None:
    assert f"{len(_rules())} rules found" in _run("promtool", "check", "rules", RULES.name)


def test_every_alert_fires_when_it_should_and_only_then() -> None:
    assert "SUCCESS" in _run("promtool", "test", "rules", "alert_rules_test.yml")


def test_amtool_accepts_the_alertmanager() -> None:
    assert "SUCCESS" in _run("amtool", "check-config", str(ROOT / "deploy" / "alertmanager" / "alertmanager.yml"))


def test_every_alert_is_tested_both_ways() -> None:
    text = (PROMETHEUS / "alert_rules_test.yml").read_text()
    for rule in _rules():
        cases = text.count(f'ALERTS{{alertname="{rule["alert"]}",alertstate="firing"}}')
        assert cases == 2, rule["alert"]


def test_nothing_promised_is_missing_and_names_are_unique() -> None:
    names = [rule["alert"] for rule in _rules()]
    assert set(names) >= PROMISED
    assert len(names) == len(set(names))


def test_every_alert_has_severity_summary_and_a_runbook_that_says_what_to_do() -> None:
    for rule in _rules():
        assert rule["labels"]["severity"] in ("warning", "critical")
        assert rule["annotations"]["summary"]
        assert rule["annotations"]["runbook"] == f"docs/runbooks/{rule['alert']}.md"
        page = (ROOT / rule["annotations"]["runbook"]).read_text()
        for heading in ("## Meaning", "## Check", "## Mend"):
            assert heading in page, rule["alert"]
        shown = re.search(r"```\n(.*?)\n```", page, re.S)
        assert shown is not None
        assert shown.group(1).split() == rule["expr"].split(), f"{rule['alert']}: the runbook shows another condition"


def test_the_table_of_alerts_is_current() -> None:
    page = (ROOT / "docs" / "alerting_rules.md").read_text()
    shown = re.findall(r"^\| \[(\w+)\]\(runbooks/\1\.md\) \| (\w+) \| ([\w ]+) \|", page, re.M)
    assert shown == [(rule["alert"], rule["labels"]["severity"], rule.get("for", "at once")) for rule in _rules()]


def test_no_runbook_is_left_over() -> None:
    pages = {page.stem for page in RUNBOOKS.glob("*.md")}
    assert pages - {rule["alert"] for rule in _rules()} == set()


def test_alerts_look_only_at_metrics_that_exist() -> None:
    """Named by our own code or by django-prometheus; `up` is Prometheus' own."""
    Metrics.get_instance()
    known = set(REGISTRY._names_to_collectors) | {"up", dependencies.NAME, dependencies.SECONDS, dependencies.LAG}
    for rule in _rules():
        used = set(re.findall(r"\b(?:avigrid|django)_[a-z0-9_]+|\bup\b", re.sub(r'"[^"]*"', "", rule["expr"])))
        assert used, rule["alert"]
        assert used <= known, f"{rule['alert']}: {sorted(used - known)}"


def test_every_process_with_an_endpoint_is_scraped() -> None:
    content = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())
    assert {job["job_name"] for job in content["scrape_configs"]} == {
        "web", "market_data", "execution", "watchdog", "worker"
    }  # fmt: skip
