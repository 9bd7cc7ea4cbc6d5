"""Reports: the same bytes twice, no script and nothing fetched, every cost and assumption in sight."""

import csv
import io
import json
import re

import pytest

from tests.unit.trading.backtest.synthetic import filters, market
from trading.avi5.config import Profile, StrategyConfig
from trading.backtest.driver import run_backtest
from trading.backtest.html import report_html
from trading.backtest.report import Report, make_report, report_json, trades_csv

LOOSE = StrategyConfig(theta=0.1, max_cost_r=1.0, max_slippage_bps=60.0, profile=Profile.GRID)


def build(seed: int = 1) -> Report:
    return make_report([run_backtest(market(3000, seed=seed), LOOSE, instrument=filters())])


@pytest.fixture(scope="module")
def report() -> Report:
    return build()


def test_same_inputs_same_bytes(report: Report) -> None:
    again = build()
    assert report_html(again) == report_html(report)
    assert report_json(again) == report_json(report)
    assert trades_csv(again.results) == trades_csv(report.results)
    assert report_json(build(2)) != report_json(report)


def test_the_page_is_self_contained(report: Report) -> None:
    page = report_html(report)
    assert "<script" not in page
    assert not re.search(r"\son\w+=", page)
    assert not re.search(r"\sstyle=", page)
    assert not re.search(r"(src|href)=", page)
    assert page.count("<svg") == 6
    assert "nan" not in page.lower().replace("finance", "")


def test_costs_and_assumptions_are_never_left_out(report: Report) -> None:
    page, data = report_html(report), json.loads(report_json(report))
    for word in ("fees, USD", "funding, USD", "slippage inside gross", "max drawdown", "Assumptions"):
        assert word in page
    assert data["metrics"]["fees_usd"] > 0
    assert data["data"][0]["used_proxy"] is True
    assert any("IMBALANCE PROXY" in sentence for sentence in data["assumptions"])
    assert any("15m bars are made of three" in sentence for sentence in data["assumptions"])
    assert "Imbalance was estimated from bars" in page
    assert data["config_hash"] == LOOSE.config_hash


def test_trade_rows_add_up(report: Report) -> None:
    rows = list(csv.DictReader(io.StringIO(trades_csv(report.results))))
    per_plan = {row["plan"]: float(row["plan_net_usd"]) for row in rows}
    assert sum(per_plan.values()) == pytest.approx(report.metrics.net_usd, abs=1e-4)
    legs = sum(float(row["net_usd"]) for row in rows if row["exit"])
    assert legs == pytest.approx(report.metrics.gross_usd - report.metrics.fees_usd, abs=1e-4)
    assert len(per_plan) == report.metrics.plans
