"""The Research pages: what the form refuses and where it says so, one run for a double click, results as people read
them."""

import re
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import AuditEntry
from avigrid.exchange.kline_table import KlineTable
from marketdata.models import KlineSource
from marketdata.selectors.stored_ranges import stored_ranges
from marketdata.services.klines import klines_bulk_store
from tests.support.users import code_for, login, make_user
from tests.unit.trading.backtest.synthetic import bars
from trading.avi5.config import StrategyConfig
from trading.backtest.walk_forward import WalkForward
from trading.models import ResearchRun, ResearchStatus, StrategyVersion
from trading.runtime import fragments as _registered  # noqa: F401
from trading.runtime.screen import Reader, registry, render
from trading.services.research import research_cancel, research_request, research_start
from trading.services.research_work import backtest_work, sweep_missing, sweep_part_work
from trading.services.strategy_versions import strategy_version_create

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)


def store(symbol: str, count: int, interval_min: int = 5) -> None:
    made = bars(count)
    ones = np.ones(len(made))
    table = KlineTable(
        symbol, interval_min, made.start_ms, made.open, made.high, made.low, made.close, made.volume, ones
    )
    klines_bulk_store(table, source=KlineSource.REST, now_ms=int(made.start_ms[-1]) + 600_000)


@pytest.fixture
def stored() -> None:
    store("LONGUSDT", 900)
    store("NEWUSDT", 100)


@pytest.fixture
def trader() -> Client:
    return login(Client(), make_user("trader"))


def asked(**changes: Any) -> dict[str, Any]:
    return {"key": str(uuid4()), "kind": "backtest", "symbols": ["LONGUSDT"], "overrides": "theta=0.2", **changes}


def run_of(**changes: Any) -> ResearchRun:
    params = {"symbols": ["LONGUSDT"], "config": {"profile": "swing", "theta": 0.2}, **changes}
    return research_start(kind=str(params.pop("kind", "backtest")), params=params, actor="test", now=NOW)


def refused(client: Client, **changes: Any) -> str:
    answer = client.post("/research/start", asked(**changes))
    assert answer.status_code == 400
    assert not ResearchRun.objects.exists()
    return answer.content.decode()


def error_at(html: str, name: str) -> str:
    found = re.search(rf'id="{name}-error"[^>]*>(.*?)</ul>', html, re.DOTALL)
    assert found is not None, f"nothing is said at {name}"
    return re.sub(r"<[^>]+>", "", found.group(1))


def test_ranges_are_those_of_the_interval(stored: None) -> None:
    store("LONGUSDT", 40, interval_min=15)
    found = {known.symbol: known.bars for known in stored_ranges(5)}
    assert found == {"LONGUSDT": 900, "NEWUSDT": 100}


def test_a_form_becomes_a_run(stored: None, trader: Client) -> None:
    answer = trader.post("/research/start", asked(profile="grid", since="2026-01-02T00:00", r_usd="25"))
    run = ResearchRun.objects.get()
    assert (answer.status_code, answer["Location"]) == (302, f"/research/{run.pk}/")
    assert (run.kind, run.status) == ("backtest", "queued")
    assert run.params["config"] == {"theta": 0.2, "profile": "grid"}
    assert (run.params["from"], run.params["r_usd"]) == ("2026-01-02T00:00", "25")
    assert run.config["theta"] == 0.2
    assert AuditEntry.objects.filter(action="research.started").count() == 1


def test_a_sweep_takes_lists_of_values(stored: None, trader: Client) -> None:
    axes = "theta=0.2, 0.3\n# a remark\nprofile = swing, grid\ntp_shares=[1.0], [0.5, 0.5]"
    trader.post("/research/start", asked(kind="sweep", axes=axes, overrides=""))
    run = ResearchRun.objects.get()
    assert run.params["axes"] == {"theta": [0.2, 0.3], "profile": ["swing", "grid"], "tp_shares": [[1.0], [0.5, 0.5]]}


def test_a_calibration_takes_the_measures_of_its_form(stored: None, trader: Client) -> None:
    page = trader.get("/research/").content.decode()
    assert 'name="thetas" type="text" value="0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5"' in page
    days = {"train_days": "1", "test_days": "1", "step_days": "1"}
    measures = {
        "thetas": "0.2, 0.4",
        "least_trades": "5",
        "least_trades_out": "3",
        "accept_pf": "1.1",
        "psi_limit": "0",
    }
    trader.post("/research/start", asked(kind="calibrate", anti_churn_s="60", **days, **measures))
    run = ResearchRun.objects.get()
    walk, settings = research_request(run).walk, research_request(run).settings
    assert walk == WalkForward(1, 1, 1, 1, 0.0, (0.2, 0.4), 5, 3, 1.1)
    assert settings.anti_churn_ms == 60_000


def test_the_same_form_twice_is_one_run(stored: None, trader: Client) -> None:
    form = asked()
    first, second = (trader.post("/research/start", form) for _ in range(2))
    assert first["Location"] == second["Location"]
    assert ResearchRun.objects.count() == 1
    trader.post("/research/start", {**form, "overrides": "theta=0.3"})  # filled in anew, after the browser's Back
    assert ResearchRun.objects.count() == 2


@pytest.mark.parametrize(
    ("changes", "where", "what"),
    [
        ({"symbols": []}, "symbols", "Choose at least one symbol."),
        ({"symbols": ["NOUSDT"]}, "symbols", "No 5m bars of NOUSDT are stored."),
        ({"symbols": ["NEWUSDT"]}, "symbols", "NEWUSDT: 100 bars of 5m are stored up to there"),
        ({"overrides": "theta=2"}, "overrides", "theta must be a number from 0 to 1, got 2"),
        ({"overrides": "teta=0.2"}, "overrides", "unknown field &#x27;teta&#x27;"),
        ({"overrides": "theta"}, "overrides", "a setting is written field=value"),
        ({"kind": "sweep", "axes": ""}, "axes", "A sweep needs at least one field with values."),
        ({"kind": "sweep", "axes": "theta"}, "axes", "A line is written field=value"),
        ({"kind": "sweep", "axes": "teta=1, 2"}, "axes", "the strategy has no field &#x27;teta&#x27;"),
        ({"since": "yesterday"}, "since", "from must be a date like 2026-01-31"),
        ({"since": "2026-01-02", "until": "2026-01-01"}, "since", "from must lie before to"),
        ({"r_usd": "-5"}, "r_usd", "r_usd must be a number above 0"),
        (
            {"kind": "calibrate"},
            "train_days",
            "LONGUSDT: 2.1 days of warm bars are stored; training and test need 210.",
        ),
        ({"kind": "calibrate", "thetas": "0.2, 2"}, "thetas", "thetas must be a list of 1 to 50 numbers from 0 to 1"),
        ({"kind": "calibrate", "accept_pf": "0.5"}, "accept_pf", "accept_pf must be a number from 1 to 100"),
        ({"anti_churn_s": "-1"}, "anti_churn_s", "anti_churn_s must be a whole number from 0 to 86400"),
        ({"kind": "calibrate", "test_days": "0"}, "test_days", "test_days must be a whole number from 1 to 1000"),
    ],
)
def test_what_is_wrong_is_said_at_its_field(
    changes: dict[str, Any], where: str, what: str, stored: None, trader: Client
) -> None:
    assert what in error_at(refused(trader, **changes), where)


def test_a_refused_form_keeps_what_was_typed(stored: None, trader: Client) -> None:
    html = refused(trader, overrides="theta=7", since="2026-01-02T08:00", kind="sweep", axes="theta=0.2")
    assert "theta=7</textarea>" in html
    assert 'value="2026-01-02T08:00"' in html
    assert 'value="LONGUSDT" checked' in html
    assert 'value="sweep" checked' in html


def test_viewers_read_and_start_nothing(stored: None) -> None:
    viewer = login(Client(), make_user("viewer"))
    run = run_of()
    page = viewer.get("/research/").content.decode()
    assert f'href="/research/{run.pk}/"' in page
    assert "/research/start" not in page
    assert viewer.post("/research/start", asked()).status_code == 403
    assert viewer.post(f"/research/{run.pk}/cancel").status_code == 403
    run.refresh_from_db()
    assert not run.cancel_requested
    assert "Cancel the run" not in viewer.get(f"/research/{run.pk}/").content.decode()


def test_an_empty_desk_says_so(trader: Client) -> None:
    page = trader.get("/research/").content.decode()
    assert "Nothing was run yet" in page
    assert "No 5m bars are stored yet" in page
    assert trader.get("/research/99/").status_code == 404


def test_a_report_is_shown_in_a_frame_of_ours(stored: None, trader: Client) -> None:
    run = run_of()
    assert "<iframe" not in trader.get(f"/research/{run.pk}/").content.decode()
    assert trader.get(f"/research/{run.pk}/report").status_code == 404
    backtest_work(run.pk, now=lambda: NOW)
    page = trader.get(f"/research/{run.pk}/").content.decode()
    assert f'<iframe class="report" src="/research/{run.pk}/report"' in page
    report = trader.get(f"/research/{run.pk}/report")
    assert "Assumptions" in report.content.decode()
    assert report["X-Frame-Options"] == "SAMEORIGIN"
    listed = render("research", Reader("viewer", "en"), out_of_band=False)
    result = ResearchRun.objects.get().result
    assert f'<td class="num">{result["metrics"]["trades"]}</td>' in listed


def test_cancelling_twice_is_harmless(stored: None, trader: Client) -> None:
    run = run_of()
    answers = [trader.post(f"/research/{run.pk}/cancel", headers={"HX-Request": "true"}) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert "is being cancelled" in answers[0].content.decode()
    assert "needs no cancelling" in answers[1].content.decode()
    run.refresh_from_db()
    assert run.status == ResearchStatus.CANCELLED
    assert AuditEntry.objects.filter(action="research.cancelled").count() == 1


def test_the_state_of_one_run_is_pushed_to_its_page_only(stored: None) -> None:
    first, second = run_of(), run_of(config={"theta": 0.3})
    names = {f"research_run:{first.pk}", f"research_run:{second.pk}", "research"}
    assert registry.dirtied_by("research", {"id": second.pk}, names) == {f"research_run:{second.pk}", "research"}
    html = render(f"research_run:{first.pk}", Reader("trader", "en"), out_of_band=True)
    assert 'hx-swap-oob="true" data-status="queued"' in html
    assert "Cancel the run" in html
    research_cancel(run_id=first.pk, actor="test", now=NOW)
    html = render(f"research_run:{first.pk}", Reader("trader", "en"), out_of_band=True)
    assert 'data-status="cancelled" data-over' in html
    assert "Cancel the run" not in html


def test_a_sweep_is_a_table_with_its_neighbours(stored: None, trader: Client) -> None:
    run = run_of(kind="sweep", axes={"theta": [0.2, 0.3, 0.4]})
    assert sweep_missing(run.pk, now=lambda: NOW) == [0]
    assert sweep_part_work(run.pk, 0, now=lambda: NOW)
    page = trader.get(f"/research/{run.pk}/").content.decode()
    table = page[page.index("sweep-title") :]
    assert "3 of 3; 0 were not legal" in table
    assert sorted(re.findall(r'<tr><td class="num">([\d.]+)</td>', table)) == ["0.2", "0.3", "0.4"]


def test_two_runs_side_by_side(stored: None, trader: Client) -> None:
    runs = [run_of(config={"profile": "swing", "theta": theta}) for theta in (0.2, 0.3)]
    for run in runs:
        backtest_work(run.pk, now=lambda: NOW)
    page = trader.get(f"/research/compare/?a={runs[0].pk}&b={runs[1].pk}").content.decode()
    assert re.search(r'<td>theta</td><td class="num wrap">0\.2</td><td class="num wrap">0\.3</td>', page)
    assert page.count("<iframe") == 2
    assert "different bars" not in page
    same = trader.get(f"/research/compare/?a={runs[0].pk}&b={runs[0].pk}").content.decode()
    assert "cannot be compared" in same
    assert trader.get("/research/compare/?a=x&b=-1").status_code == 200


def calibrated(*, used_proxy: bool = False, **params: Any) -> ResearchRun:
    """A finished calibration with one step: hour 13 was accepted with 0.45, hour 3 is dead, the others fall back."""
    config = StrategyConfig()
    rows = [
        {
            "hour": hour, "theta": 0.35, "chosen": None, "is_accepted": False, "is_dead": False, "pf_in": None,
            "pf_out": None, "trades_in": 0, "trades_out": 0, "why": "no theta had 20 training trades",
        }
        for hour in range(24)
    ]  # fmt: skip
    rows[13] |= {"theta": 0.45, "chosen": 0.45, "is_accepted": True, "pf_in": 1.8, "pf_out": 1.42, "trades_out": 31}
    rows[3] |= {"is_dead": True, "pf_in": 0.7, "pf_out": 0.6, "why": "dead: below 1 in and out of sample"}
    found = config.replaced({"theta_by_hour": {str(row["hour"]): row["theta"] for row in rows}, "dead_hours": [3]})
    fold = {
        "train_from_ms": 1_735_689_600_000, "train_to_ms": 1_751_241_600_000, "test_to_ms": 1_753_833_600_000,
        "psi": 0.12, "thetas": [0.45 if hour == 13 else None for hour in range(24)],
        "train_pf": [1.8 if hour == 13 else None for hour in range(24)],
        "train_trades": [0] * 24, "test_trades": [0] * 24,
    }  # fmt: skip
    return ResearchRun.objects.create(
        kind="calibrate", status="done", params={"symbols": ["LONGUSDT"], **params}, config=config.to_mapping(),
        config_hash=config.config_hash, shards=1, shards_done=1, created_at=NOW, touched_at=NOW, ended_at=NOW,
        result={
            "hours": rows, "folds": [fold], "recent_psi": 0.31, "calibrated_config": found.to_mapping(),
            "used_proxy": used_proxy,
        },
    )  # fmt: skip


def test_a_calibration_is_a_heat_map_that_reads_as_a_table(trader: Client) -> None:
    page = trader.get(f"/research/{calibrated().pk}/").content.decode()
    table = page[page.index('class="theta"') : page.index("</table>", page.index('class="theta"'))]
    rows = re.findall(r"<tr>(.*?)</tr>", table, re.DOTALL)
    cells = [[re.sub(r"<[^>]+>", "", cell).strip() for cell in re.findall(r"<td.*?</td>", row)] for row in rows]
    assert [len(row) for row in cells] == [0, *[24] * 6]
    assert (cells[1][13], cells[1][3]) == ("0.45", "–")
    assert (cells[2][13], cells[2][3]) == ("0.45", "0.35")
    assert cells[5][13] == "1.42"
    assert 'aria-label="dead"' in rows[3]
    assert "One-time code" not in page  # a trader only looks


PROXY = "Imbalance was estimated from bars"


def test_what_rests_on_the_bar_proxy_says_so_wherever_it_is_shown(stored: None, trader: Client) -> None:
    sweep = run_of(kind="sweep", axes={"theta": [0.2]})
    sweep_missing(sweep.pk, now=lambda: NOW)
    sweep_part_work(sweep.pk, 0, now=lambda: NOW)
    assert PROXY in trader.get(f"/research/{sweep.pk}/").content.decode()
    proxied, seen = calibrated(used_proxy=True), calibrated()
    assert PROXY in trader.get(f"/research/{proxied.pk}/").content.decode()
    assert PROXY not in trader.get(f"/research/{seen.pk}/").content.decode()
    pair = trader.get("/research/compare/", {"a": seen.pk, "b": proxied.pk}).content.decode()
    assert re.search(rf"{PROXY}[^<]*: #{proxied.pk}\.", pair)
    admin = login(Client(), make_user("admin"))
    form = admin.get(f"/research/{proxied.pk}/").content.decode()
    assert "These thetas were compared with an imbalance estimated from bars" in form
    assert "Calibrated over LONGUSDT with 1 R = 100 USD." in form
    assert "estimated from bars" not in admin.get(f"/research/{seen.pk}/").content.decode()


def test_hours_found_over_files_are_only_shown() -> None:
    admin = login(Client(), make_user("admin"))
    page = admin.get(f"/research/{calibrated(files=['BTCUSDT_5m.csv.gz']).pk}/").content.decode()
    assert "Made over files" in page
    assert "activate-code" not in page


def test_activating_needs_an_admin_with_a_fresh_code() -> None:
    strategy_version_create(config=StrategyConfig(), actor="test", now=timezone.now())
    run = calibrated()
    admin_user = make_user("admin")
    admin = login(Client(), admin_user)
    path = f"/research/{run.pk}/activate"
    assert login(Client(), make_user("trader")).post(path, {"reason": "x"}).status_code == 403
    assert admin.post(path, {"reason": "x", "otp_code": "000000"}).status_code == 403
    assert StrategyVersion.objects.count() == 1
    answer = admin.post(path, {"reason": "walked forward", "otp_code": code_for(admin_user)}, follow=True)
    assert "Version 2 decides from the next bar on" in answer.content.decode()
    assert StrategyVersion.objects.get(is_active=True).config["dead_hours"] == [3]
    again = admin.post(path, {"reason": "once more", "otp_code": code_for(admin_user)}, follow=True)
    assert "are in use already" in again.content.decode()
    assert StrategyVersion.objects.count() == 2


def test_the_stage_and_its_thresholds_are_shown_and_moved_by_an_admin() -> None:
    version = strategy_version_create(config=StrategyConfig(), actor="test", now=timezone.now())
    admin_user = make_user("admin")
    admin = login(Client(), admin_user)
    page = admin.get("/research/").content.decode()
    panel = page[page.index('id="stage"') :]
    assert "Threshold before live" in panel
    assert "0 live signals were modelled" in panel
    assert re.findall(r'data-threshold="(\w+)"', panel) == [
        "real_market", "days", "trades", "win_rate", "profit_factor", "max_drawdown_r", "slippage_gap_bps"
    ]  # fmt: skip
    assert panel.count('aria-label="failed"') == 7
    form = {"version": version.pk, "stage": "paper", "reason": "it decides well"}
    assert admin.post("/research/stage", form).status_code == 403
    told = admin.post("/research/stage", {**form, "otp_code": code_for(admin_user)}, follow=True).content.decode()
    assert "was in stage validation and is in stage paper now" in told
    version.refresh_from_db()
    assert version.stage == "paper"
    live = {**form, "stage": "live", "otp_code": code_for(admin_user)}
    admin.post("/research/stage", live)
    version.refresh_from_db()
    assert version.stage == "paper"  # nothing was proven
    viewer = login(Client(), make_user("viewer")).get("/research/").content.decode()
    assert "Threshold before live" in viewer
    assert "/research/stage" not in viewer


def test_queries_do_not_grow_with_runs_and_symbols(stored: None, trader: Client) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as seen:
            assert trader.get("/research/").status_code == 200
        return len(seen)

    run_of()
    queries()  # what is cached from the first page on
    before = queries()
    for number in range(4):
        run_of(config={"theta": 0.2 + number / 100})
        store(f"MORE{number}USDT", 10)
    assert queries() == before
