"""The operator's pages over a small desk: what they show, what they refuse, and how many queries they cost."""

import re
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext, override_settings
from django.utils import timezone

from marketdata.selectors.book_tops import BookTop
from marketdata.services.book_tops import book_tops_publish
from risk.core.states import State, StateSource
from risk.selectors.guards import effective_state
from risk.services.states import halt
from tests.support.api_world import ApiWorld
from tests.support.users import code_for, login, make_user
from trading.models import Decision, Plan, ReconciliationFinding, ReconciliationRun
from trading.runtime import screen
from trading.selectors.demo_faults import KEY, FaultNote
from trading.services.times import from_ms

pytestmark = pytest.mark.django_db
D = Decimal
BAR_S = 300


@pytest.fixture
def viewer() -> Client:
    return login(Client(), make_user("viewer"))


def decided(world: ApiWorld, symbol: str, bars_ago: int, *, failed: list[str], status: str = "no_signal") -> Decision:
    rule = {"rule": "spread", "passed": False, "value": 7.5, "threshold": 5.0, "unit": "bps"}
    return Decision.objects.create(
        strategy=world.version,
        symbol=symbol,
        bar_start=from_ms((world.now_ms // 300_000 - bars_ago) * 300_000),
        decided_at=from_ms(world.now_ms),
        status=status,
        rules={"long": [rule], "short": [{**rule, "passed": True, "value": 1.5}], "failed": failed},
        indicators={"side": 1},
    )


def get(client: Client, path: str, status: int = 200) -> str:
    answer = client.get(path)
    assert answer.status_code == status, (path, answer.status_code, answer.content[:500])
    return answer.getvalue().decode()


PAGES = {
    "/": 22,
    "/symbols/": 22,
    "/symbols/AAAUSDT/": 20,
    "/decisions/": 22,
    "/plans/": 20,
    "/performance/": 27,
    "/risk/": 26,
    "/system/": 26,
    "/reconciliation/": 20,
    "/accounts/sessions/": 20,
}


@pytest.mark.parametrize("path", PAGES)
def test_queries_of_a_page(path: str, world: ApiWorld, viewer: Client) -> None:
    world.holding(world.placed())
    world.closed("BBBUSDT", "30", "1")
    decided(world, "AAAUSDT", 1, failed=["spread"])
    get(viewer, path)
    with CaptureQueriesContext(connection) as counted:
        get(viewer, path)
    assert len(counted) == PAGES[path], "\n".join(q["sql"][:150] for q in counted.captured_queries)


def test_a_longer_list_of_plans_costs_no_more_queries(world: ApiWorld, viewer: Client) -> None:
    world.closed("AAAUSDT", "30", "1")
    world.placed("CCCUSDT")
    get(viewer, "/plans/")
    with CaptureQueriesContext(connection) as two:
        get(viewer, "/plans/")
    world.closed("BBBUSDT", "-10", "1")
    with CaptureQueriesContext(connection) as three:
        page = get(viewer, "/plans/")
    assert len(re.findall(r'href="/plans/\d+/"', page)) == 3
    assert len(three) == len(two)


@pytest.mark.parametrize("path", [*PAGES, "/plans/plans.csv", "/performance/curve.json"])
def test_without_an_account_or_any_data_every_page_stands(path: str, viewer: Client) -> None:
    cache.clear()
    get(viewer, path, 404 if path == "/symbols/AAAUSDT/" else 200)


def test_any_bar_is_found_by_its_time(world: ApiWorld, viewer: Client) -> None:
    wanted, newer = (decided(world, "AAAUSDT", bars, failed=["spread"]) for bars in (7, 3))
    page = get(viewer, f"/decisions/?symbol=AAAUSDT&until={wanted.bar_start:%Y-%m-%dT%H:%M}")
    assert f"/symbols/AAAUSDT/rules/{int(wanted.bar_start.timestamp())}" in page
    assert f"/symbols/AAAUSDT/rules/{int(newer.bar_start.timestamp())}" not in page


def test_no_page_carries_inline_script_or_style(world: ApiWorld) -> None:
    admin = login(Client(), make_user("admin"), fresh_code=True)
    plan = world.closed("AAAUSDT", "30", "1")
    decided(world, "AAAUSDT", 1, failed=["spread"])
    book_tops_publish([BookTop("AAAUSDT", ((99.0, 2.0),), ((101.0, 1.0),), 100.0, 100.3, 0.33, 200.0, 300.0, None)])
    with override_settings(AVIGRID={**_avigrid(), "DEMO": True}):
        for path in (*PAGES, f"/plans/{plan.pk}/", "/audit/", "/break-it/"):
            page = get(admin, path)
            assert not re.search(r"\sstyle\s*=", page), path
            assert not re.search(r"<style\b|\son\w+\s*=\s*[\"']", page), path
            assert not re.findall(r"<script(?![^>]*\bsrc=)[^>]*>", page), path


# -- symbols ---------------------------------------------------------------------------------------------------------


def test_chart_numbers(world: ApiWorld, viewer: Client) -> None:
    world.bars(count=60, symbol="AAAUSDT")
    chart = viewer.get("/symbols/AAAUSDT/chart.json").json()
    times = [bar[0] for bar in chart["bars"]]
    assert times == sorted(times)
    assert {b - a for a, b in zip(times, times[1:], strict=False)} == {BAR_S}
    assert chart["bars"][-1][1:] == [100.5, 101, 99, 100, 1.25]
    # every bar is alike: typical price (101 + 99 + 100) / 3 = 100, no deviation, channel 99 to 101
    last = {name: values[-1] for name, values in chart["series"].items()}
    assert last == {
        "vwap": 100, "upper": 100, "lower": 100, "upper_far": 100, "lower_far": 100,
        "donchian_top": 101, "donchian_bottom": 99,
    }  # fmt: skip
    assert all(len(values) == len(times) for values in chart["series"].values())
    earlier = viewer.get(f"/symbols/AAAUSDT/chart.json?end={times[10] * 1000}").json()
    assert earlier["bars"] == [] or earlier["bars"][-1][0] == times[9]


def test_chart_marks_and_lines_of_an_open_plan(world: ApiWorld, viewer: Client) -> None:
    world.bars(count=60, symbol="AAAUSDT")
    plan = world.placed()
    world.holding(plan)
    Plan.objects.filter(pk=plan.pk).update(stop_price=D("97.5"), stop_confirmed=D("97.5"))
    chart = viewer.get("/symbols/AAAUSDT/chart.json").json()
    assert [97.5, "stop", "stop", True] in chart["lines"]
    assert [line for line in chart["lines"] if line[1] == "rung"], chart["lines"]


def test_whatever_moves_a_line_or_a_mark_makes_open_charts_ask_again(world: ApiWorld, viewer: Client) -> None:
    reader = screen.Reader("viewer", "en")

    def shown() -> str:
        found = re.search(r'data-version="(\w+)"', screen.render("levels:AAAUSDT", reader, out_of_band=True))
        assert found is not None
        return found.group(1)

    world.bars(count=60, symbol="AAAUSDT")
    seen = [shown()]
    plan = world.placed()
    seen.append(shown())
    world.holding(plan)
    seen.append(shown())
    Plan.objects.filter(pk=plan.pk).update(stop_price=D("98.25"))
    seen.append(shown())
    Plan.objects.filter(pk=plan.pk).update(stop_confirmed=D("98.25"))
    seen.append(shown())
    assert len(set(seen)) == 5
    assert viewer.get("/symbols/AAAUSDT/chart.json").json()["version"] == shown() == seen[-1]
    assert screen.render("levels:AAAUSDT", screen.Reader("viewer", "ru"), out_of_band=True).count(seen[-1]) == 1
    for kind in ("plan", "order", "fill", "signal"):
        shown_there = {"levels:AAAUSDT", "levels:BBBUSDT"}
        assert screen.registry.dirtied_by(kind, {"symbol": "AAAUSDT"}, shown_there) == {"levels:AAAUSDT"}


@pytest.mark.parametrize("path", ["/symbols/NOPEUSDT/", "/symbols/aaausdt/", "/symbols/NOPEUSDT/chart.json"])
def test_a_symbol_that_is_not_watched_is_not_found(path: str, world: ApiWorld, viewer: Client) -> None:
    get(viewer, path, 404)


def test_why_a_bar_gave_no_signal(world: ApiWorld, viewer: Client) -> None:
    decision = decided(world, "AAAUSDT", 2, failed=["spread"])
    bar_s = int(decision.bar_start.timestamp())
    page = get(viewer, f"/symbols/AAAUSDT/rules/{bar_s}")
    assert "spread" in page
    assert "7.5" in page
    assert page.count("✗") == 1
    assert page.count("✓") == 1
    assert "no decision is stored" in get(viewer, f"/symbols/AAAUSDT/rules/{bar_s + BAR_S}")
    get(viewer, "/symbols/AAAUSDT/rules/99999999999", 404)


def test_decisions_filter_and_page_without_loss(world: ApiWorld, viewer: Client) -> None:
    for number in range(60):
        for symbol in ("AAAUSDT", "BBBUSDT"):
            decided(world, symbol, number + 1, failed=["spread"] if number % 2 else ["trend", "cost"])
    rows = r'href="/symbols/(\w+)/">'
    first = get(viewer, "/decisions/?failed_rule=spread")
    assert len(re.findall(rf"<td><a {rows}", first)) == 50
    following = re.search(r'href="(\?[^"]+)" rel="next"', first)
    assert following is not None
    second = get(viewer, "/decisions/" + following.group(1).replace("&amp;", "&"))
    assert len(re.findall(rf"<td><a {rows}", second)) == 10
    assert 'rel="next"' not in second
    one = get(viewer, "/decisions/?symbol=AAAUSDT&failed_rule=cost")
    assert set(re.findall(rf"<td><a {rows}", one)) == {"AAAUSDT"}
    assert "No decision fits" in get(viewer, "/decisions/?status=signal")
    assert "No decision fits" in get(viewer, "/decisions/?until=2020-01-01T00:00")
    assert len(re.findall(rf"<td><a {rows}", get(viewer, "/decisions/?before=nonsense"))) == 50


# -- risk ------------------------------------------------------------------------------------------------------------


def halted(world: ApiWorld) -> None:
    halt(account_id=world.account.pk, source=StateSource.OPERATOR, reason="test", actor="test")


def test_halt_is_a_plain_form(world: ApiWorld) -> None:
    trader = login(Client(enforce_csrf_checks=True), make_user("trader"))
    page = get(trader, "/symbols/")
    form = re.search(r'<form method="post" action="/halt">(.*?)</form>', page, re.DOTALL)
    assert form is not None
    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', form.group(1))
    assert token is not None
    answer = trader.post("/halt", {"csrfmiddlewaretoken": token.group(1)})
    assert answer.status_code == 302
    assert effective_state(world.account.pk) is State.HALTED


def test_re_arming_needs_a_fresh_code_and_a_reason(world: ApiWorld) -> None:
    halted(world)
    user = make_user("admin")
    admin = login(Client(), user)
    refused = admin.post("/risk/rearm", {"reason": "checked", "otp_code": "000000"})
    assert refused.status_code == 403
    assert effective_state(world.account.pk) is State.HALTED
    admin.post("/risk/rearm", {"reason": " ", "otp_code": code_for(user)})
    assert effective_state(world.account.pk) is State.HALTED
    answer = admin.post("/risk/rearm", {"reason": "checked", "otp_code": code_for(user)}, follow=True)
    assert effective_state(world.account.pk) is State.ACTIVE
    assert "checked" in answer.content.decode()


def test_a_trader_may_not_flatten_or_re_arm(world: ApiWorld) -> None:
    halted(world)
    user = make_user("trader")
    trader = login(Client(), user, fresh_code=True)
    page = get(trader, "/risk/")
    assert 'action="/risk/flatten"' not in page
    for path in ("/risk/rearm", "/risk/flatten"):
        assert trader.post(path, {"reason": "x", "otp_code": code_for(user)}).status_code == 403
    assert effective_state(world.account.pk) is State.HALTED


def test_flatten_halts_and_asks_for_closing_everything(world: ApiWorld) -> None:
    user = make_user("admin")
    admin = login(Client(), user)
    admin.post("/risk/flatten", {"reason": "", "otp_code": code_for(user)})
    assert effective_state(world.account.pk) is State.ACTIVE
    page = admin.post("/risk/flatten", {"reason": "leaving", "otp_code": code_for(user)}, follow=True).content.decode()
    assert effective_state(world.account.pk) is State.HALTED
    assert "flatten</span>" in page
    assert "leaving" in page


# -- audit and the demo's faults -------------------------------------------------------------------------------------


def test_audit_is_for_admins_and_can_be_searched(world: ApiWorld, viewer: Client) -> None:
    world.placed()
    halted(world)
    assert viewer.get("/audit/").status_code == 403
    admin = login(Client(), make_user("admin"))
    everything = get(admin, "/audit/")
    assert "signal.placed" in everything or "plan." in everything
    found = get(admin, "/audit/?action=trading_state.")
    assert found.count("trading_state.tightened") == 1
    assert "No entry fits" in get(admin, "/audit/?action=nothing.of.the.kind")
    get(admin, "/audit/?since=yesterday&before=abc")
    get(admin, "/audit/?object_id=%00", 400)


def test_faults_do_not_exist_outside_the_demo(world: ApiWorld) -> None:
    trader = login(Client(), make_user("trader"))
    with override_settings(AVIGRID={**_avigrid(), "DEMO": False}):
        get(trader, "/break-it/", 404)
        assert trader.post("/break-it/lost_ack").status_code == 404
        assert "Break it" not in get(trader, "/")


def test_a_fault_that_cannot_be_switched_on_says_so(world: ApiWorld) -> None:
    trader = login(Client(), make_user("trader"))
    nobody = {**_avigrid(), "DEMO": True, "SIMULATOR_URL": "http://127.0.0.1:9"}
    with override_settings(AVIGRID=nobody):
        assert "Break it" in get(trader, "/")
        answer = trader.post("/break-it/lost_ack", headers={"HX-Request": "true"})
        assert "toast refused" in answer.content.decode()
        assert "did not take it" in answer.content.decode()
        # the heartbeat of this desk names the test's own process, which must not be shot
        for name in ("no-such", "kill_execution"):
            answer = trader.post(f"/break-it/{name}", headers={"HX-Request": "true"})
            assert "toast refused" in answer.content.decode(), name


def test_what_came_of_a_fault_with_seconds(world: ApiWorld) -> None:
    trader = login(Client(), make_user("trader"))
    began = timezone.now() - timedelta(seconds=30)
    cache.set(KEY, [FaultNote("drop_stream", began)], 60)
    ReconciliationRun.objects.update(started_at=began - timedelta(minutes=1))
    finding = world.finding()
    ReconciliationFinding.objects.filter(pk=finding.pk).update(
        detected_at=began + timedelta(seconds=1.2),
        repaired_at=began + timedelta(seconds=2.5),
        action="fetched",
        proof="venue and books agree",
        is_open=False,
    )
    with override_settings(AVIGRID={**_avigrid(), "DEMO": True}):
        page = get(trader, "/break-it/")
    story = re.findall(r">\+([\d.]+) s<.*?<span>([^<]+)</span></li>", page, re.DOTALL)
    assert story == [("1.2", "The position differs."), ("2.5", "fetched"), ("2.5", "venue and books agree")]


def _avigrid() -> dict[str, Any]:
    from django.conf import settings

    return dict(settings.AVIGRID)
