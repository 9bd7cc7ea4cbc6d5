"""The top bar: whose money it counts, since when, and what it says where something is not known."""

import re
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.staticfiles.storage import StaticFilesStorage
from django.core.cache import cache
from django.test import Client, override_settings
from django.utils import timezone

from avigrid.common import heartbeats
from risk.core.states import State
from risk.selectors.guards import effective_state
from tests.support.api_world import ApiWorld
from tests.support.settings import avigrid_settings
from tests.support.trading_rows import make_account
from tests.support.users import login, make_user
from trading.models import LedgerEntry
from trading.selectors.desk import plan_rows
from trading.selectors.exchange_time import process_name
from trading.selectors.risk_page import risk_page
from trading.selectors.top_bar import top_bar
from trading.services.times import from_ms

pytestmark = pytest.mark.django_db
D = Decimal
DAY_MS = 86_400_000


def booked(world: ApiWorld, usd: str, at_ms: int, kind: str = "fee") -> None:
    LedgerEntry.objects.create(
        account=world.account, kind=kind, change_usd=D(usd), at=from_ms(at_ms), reference=f"{kind}-{at_ms}"
    )


def exchange_says(world: ApiWorld, now_ms: int) -> None:
    detail = {"exchange_ms": now_ms, "rate_ratio": 1.0, "offset_ms": 0}
    heartbeats.beat(process_name(world.account.pk), detail)


class HashedStorage(StaticFilesStorage):
    """As in production: what a file is called follows from what is in it."""

    def url(self, name: str | None) -> str:
        path, _, kind = str(name).rpartition(".")
        return f"/static/{path}.0a1b2c3d.{kind}"


def test_the_page_names_both_its_icons_as_they_are_served(settings: Any) -> None:
    own = {"BACKEND": f"{__name__}.HashedStorage"}
    settings.STORAGES = {**settings.STORAGES, "staticfiles": own}
    page = login(Client(), make_user("viewer")).get("/").content.decode()
    icon = re.search(r'<link rel="icon"[^>]*>', page)
    assert icon is not None
    named = dict(re.findall(r'(href|data-calm|data-alarm)="([^"]+)"', icon.group(0)))
    calm, alarm = (f"/static/avigrid/img/favicon{kind}.0a1b2c3d.svg" for kind in ("", "-alarm"))
    assert named == {"href": calm, "data-calm": calm, "data-alarm": alarm}


def bar_of(client: Client) -> str:
    page = client.get("/").content.decode()
    found = re.search(r'id="fragment-topbar".*?<header|id="fragment-topbar".*?HALT', page, re.DOTALL)
    assert found is not None
    return found.group(0)


def test_yesterdays_result_is_not_todays(world: ApiWorld) -> None:
    midnight_ms = world.now_ms // DAY_MS * DAY_MS
    booked(world, "-40", midnight_ms - 60_000)
    exchange_says(world, midnight_ms + 5_000)
    assert top_bar().pnl_today_usd == 0
    booked(world, "-3", midnight_ms + 1_000)
    booked(world, "500", midnight_ms + 2_000, kind="transfer")
    assert top_bar().pnl_today_usd == D("-3")


def test_the_day_is_the_exchanges(world: ApiWorld) -> None:
    """A simulated exchange runs ahead: its midnight counts, not ours."""
    ahead_ms = world.now_ms // DAY_MS * DAY_MS + 3 * DAY_MS
    booked(world, "-7", world.now_ms)
    booked(world, "-2", ahead_ms + 1_000)
    exchange_says(world, ahead_ms + 9_000)
    assert top_bar().pnl_today_usd == D("-2")


def test_without_a_price_nothing_is_said_about_what_is_open(world: ApiWorld) -> None:
    world.holding(world.placed())
    booked(world, "-4", world.now_ms)
    client = login(Client(), make_user("viewer"))
    priced = plan_rows(world.account.pk)[0]
    # half a coin bought at 100.01, marked at 100
    assert priced.unrealised_usd == D("-0.0050")
    assert "without open positions" not in bar_of(client)
    cache.clear()
    row = plan_rows(world.account.pk)[0]
    assert (row.unrealised_usd, row.net_usd, row.net_r) == (None, None, None)
    bar = top_bar()
    assert bar.pnl_today_usd == D("-4")
    assert not bar.is_open_pnl_known
    client = login(Client(), make_user("viewer"))
    assert "without open positions" in bar_of(client)
    page = client.get("/").content.decode()
    assert re.search(r'class="plan-pnl"[^>]*>– · –<', page)


def test_a_plan_that_holds_nothing_needs_no_price(world: ApiWorld) -> None:
    world.placed()
    cache.clear()
    assert plan_rows(world.account.pk)[0].net_usd == 0
    assert top_bar().is_open_pnl_known


def test_without_an_account_the_setting_is_shown_and_no_state() -> None:
    cache.clear()
    with override_settings(AVIGRID=avigrid_settings(MARKET_ENVIRONMENT="mainnet")):
        bar = top_bar()
        assert (bar.environment, bar.state) == ("mainnet", None)
        shown = bar_of(login(Client(), make_user("viewer")))
    assert "MAINNET" in shown
    assert "no account" in shown
    assert "ACTIVE" not in shown
    assert "SIMULATED" not in shown


def test_the_account_is_named_and_halt_stops_all_of_them(world: ApiWorld) -> None:
    world.account.label = "First book"
    world.account.save()
    second, closed = make_account("Second book"), make_account("Closed book")
    closed.active = False
    closed.save()
    trader = login(Client(), make_user("trader"))
    assert "First book" in bar_of(trader)
    answer = trader.post("/halt", follow=True)
    assert [effective_state(row.pk) for row in (world.account, second)] == [State.HALTED, State.HALTED]
    assert effective_state(closed.pk) is State.ACTIVE
    assert "HALTED" in answer.content.decode()
    again = trader.post("/halt", follow=True)
    assert "halted already" in again.content.decode()


def test_the_hands_of_the_clock_are_ours_where_the_exchange_was_never_asked(world: ApiWorld) -> None:
    heartbeats.beat(process_name(world.account.pk), {})
    booked(world, "-40", world.now_ms - 2 * DAY_MS)
    assert top_bar().pnl_today_usd == 0
    assert timezone.now() - from_ms(world.now_ms) < timedelta(hours=1)


def test_open_risk_is_one_number_on_every_page(world: ApiWorld) -> None:
    """Held, half filled and waiting alike, with what leaving at the stop costs in fees."""
    world.holding(world.placed())
    world.placed("BBBUSDT")
    page = risk_page(world.account.pk)
    total = next(row.usage for row in page.usage if row.usage.code == "max_total_risk_r")
    assert total.value > 0
    assert top_bar().open_risk_r == total.value
