"""The admin: every page opens, says what it is for, leads to the desk; history cannot be changed there."""

import re
from decimal import Decimal
from typing import Any

import pytest
from celery import current_app
from django.contrib import admin
from django.core.cache import cache
from django.test import Client
from django.urls import resolve, reverse

from avigrid.common.admin_pages import DeskAdmin, ReadOnlyAdmin
from risk.core.states import State
from risk.forms.limits import GROUPS as LIMIT_GROUPS
from risk.forms.limits import HELP as LIMIT_HELP
from risk.models import RiskLimitsVersion
from risk.selectors.guards import effective_state
from risk.selectors.limits import FIELDS as LIMITS
from risk.services.limits import limits_update
from tests.support.api_world import ApiWorld
from tests.support.users import login, make_user
from trading.forms.strategy import FIELDS
from trading.forms.strategy_help import GROUPS, HELP
from trading.services.placing import signal_place
from trading.services.times import from_ms
from trading.views.admin_dashboard import schedules

pytestmark = pytest.mark.django_db
PAGES = sorted(admin.site._registry.values(), key=lambda page: page.opts.label)
NAMES = [page.opts.label_lower for page in PAGES]


@pytest.fixture
def world() -> ApiWorld:
    cache.clear()
    world = ApiWorld()
    signal = world.signal("AAAUSDT")
    placement = signal_place(
        signal_id=signal.pk, account_id=world.account.pk, user=None, actor="test", now=from_ms(world.now_ms)
    )
    assert placement.placed
    return world


@pytest.fixture
def client() -> Client:
    return login(Client(), make_user("admin"), fresh_code=True)


def url(page: Any, name: str, *args: object) -> str:
    return reverse(f"admin:{page.opts.app_label}_{page.opts.model_name}_{name}", args=args)


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_every_page_opens_and_says_what_it_is_for(page: Any, world: ApiWorld, client: Client) -> None:
    assert isinstance(page, DeskAdmin)
    assert page.about
    listed = client.get(url(page, "changelist"))
    assert listed.status_code == 200
    assert 'class="admin-about"' in listed.content.decode()
    if page.desk_page:
        assert f'href="{reverse(page.desk_page)}"' in listed.content.decode()
    row = page.model._default_manager.first()
    if row is not None:
        shown = client.get(url(page, "change", row.pk))
        assert shown.status_code == 200
        on_desk = page.desk_url(row)
        if on_desk:
            assert f'href="{on_desk.replace("&", "&amp;")}"' in shown.content.decode()
            assert resolve(on_desk.partition("?")[0].partition("#")[0]).app_name == "trading"
            assert client.get(on_desk).status_code == 200
    if page.has_add_permission(client.get("/admin/").wsgi_request):
        assert client.get(url(page, "add")).status_code == 200


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_nothing_is_deleted_and_history_is_not_changed(page: Any, world: ApiWorld, client: Client) -> None:
    row = page.model._default_manager.first()
    if row is None:
        pytest.skip("no row of it in this world")
    before = repr(page.model._default_manager.values().get(pk=row.pk))
    assert client.post(url(page, "delete", row.pk), {"post": "yes"}).status_code == 403
    if isinstance(page, ReadOnlyAdmin):
        assert client.post(url(page, "change", row.pk), {"_save": "1"}).status_code == 403
    assert repr(page.model._default_manager.values().get(pk=row.pk)) == before


def test_the_overview_links_both_ways(world: ApiWorld, client: Client) -> None:
    html = client.get("/admin/").content.decode()
    cards = re.findall(r'overview-card tone-(\w+)">\s*<h2>([^<]+)</h2>\s*<p class="overview-value">([^<]+)<', html)
    shown = {title: (tone, value) for tone, title, value in cards}
    assert shown["Trading state"] == ("good", "ACTIVE")
    assert shown["Strategy"][1].startswith(f"avi5 v{world.version.version}")
    links = set(re.findall(r'href="(/[^"#?]*)"', html[html.index("overview-cards") : html.index("</ul>")]))
    assert {"/risk/", "/system/", "/reconciliation/", "/research/"} <= links
    for link in links:
        assert client.get(link).status_code == 200, link
    assert 'href="/admin/"' in client.get("/").content.decode()


def test_the_side_bar_leads_to_every_list(client: Client) -> None:
    html = client.get("/admin/").content.decode()
    missing = [page.opts.label for page in PAGES if f'href="{url(page, "changelist")}"' not in html]
    assert missing == []


def test_every_schedule_says_when_and_what_for() -> None:
    rows = {row.task: row for row in schedules()}
    assert set(rows) == set(current_app.conf.beat_schedule)
    assert [row.task for row in rows.values() if not row.about] == []
    assert rows["trading.silence_watch"].when == "every 10 seconds"
    assert rows["marketdata.gaps_sweep"].when == "every 5 minutes"
    assert rows["marketdata.funding_update"].when == "every hour at minute 7"
    assert rows["trading.retention"].when == "every day at 03:30 UTC"


def test_every_number_is_explained_in_one_group() -> None:
    grouped = [name for _title, _text, names in GROUPS for name in names]
    assert sorted(grouped) == sorted(FIELDS)
    assert set(FIELDS) - set(HELP) == {"profile", "version"}
    limits = [name for _title, _text, names in LIMIT_GROUPS for name in names]
    assert sorted(limits) == sorted(LIMITS) == sorted(LIMIT_HELP)


def test_halt_is_a_plain_form_on_every_page_of_the_admin(world: ApiWorld, client: Client) -> None:
    for path in (
        reverse("admin:index"),
        reverse("admin:trading_plan_changelist"),
        reverse("admin:risk_risklimitsversion_add"),
    ):
        page = client.get(path).content.decode()
        form = re.search(r'<form class="admin-halt" method="post" action="/halt">(.*?)</form>', page, re.DOTALL)
        assert form is not None, path
        assert "csrfmiddlewaretoken" in form.group(1)
    answer = client.post("/halt", {"next": reverse("admin:index")})
    assert answer.headers["Location"] == reverse("admin:index")
    assert effective_state(world.account.pk) is State.HALTED


def test_amounts_to_be_changed_carry_no_padding(world: ApiWorld, client: Client) -> None:
    limits_update(
        account_id=world.account.pk, changes={"max_total_risk_r": Decimal(3)}, actor=make_user("admin"),
        reason="less", otp_used=True,
    )  # fmt: skip
    version = RiskLimitsVersion.objects.get(active=True)
    page = client.get(reverse("admin:risk_risklimitsversion_change", args=[version.pk])).content.decode()
    shown = dict(re.findall(r'name="(\w+)" value="([^"]*)"', page))
    assert shown["max_total_risk_r"] == "3"
    assert shown["r_usd"] == "20"
    assert not [value for value in shown.values() if re.fullmatch(r"\d+\.\d*0", value)]
