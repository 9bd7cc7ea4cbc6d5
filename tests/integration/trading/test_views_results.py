"""Plans and results as pages and files: the numbers, worked out by hand."""

import csv
import io
import re
from datetime import timedelta
from decimal import Decimal

import pytest
from django.test import Client

from tests.support.api_world import ApiWorld
from tests.support.users import login, make_user
from trading.models import EquitySnapshot, LedgerEntry

pytestmark = pytest.mark.django_db
D = Decimal
BAR_S = 300


@pytest.fixture
def viewer() -> Client:
    return login(Client(), make_user("viewer"))


def get(client: Client, path: str, status: int = 200) -> str:
    answer = client.get(path)
    assert answer.status_code == status, (path, answer.status_code, answer.content[:500])
    return answer.getvalue().decode()


def test_the_story_of_a_plan(world: ApiWorld, viewer: Client) -> None:
    plan = world.placed()
    world.holding(plan)
    page = get(viewer, f"/plans/{plan.pk}/")
    assert "placed" in page
    assert re.search(r"Buy 0\.5 @ 100\.01", page)
    assert "slippage +1.0 bps" in page
    assert "data-primary" not in page, "a viewer is offered nothing to click"
    trader = login(Client(), make_user("trader"))
    assert "/close" in get(trader, f"/plans/{plan.pk}/")
    get(viewer, "/plans/999999/", 404)


def test_results_in_numbers(world: ApiWorld, viewer: Client) -> None:
    world.closed("AAAUSDT", "42", "2")  # net 40 = 2 R
    world.closed("BBBUSDT", "-19", "1", hours_ago=2)  # net -20 = -1 R
    page = get(viewer, "/performance/?range=7d")
    for text in ("+20.00", "50\u00a0%", "2.00", "+0.50 R", "+2.00 R", "−1.00 R"):
        assert text in page, text
    assert "+0.0 … +0.5 R: 0" in page
    assert "+2.0 … +2.5 R: 1" in page
    lines = list(csv.reader(io.StringIO(b"".join(viewer.get("/plans/plans.csv").streaming_content).decode())))
    assert lines[0][:4] == ["plan", "symbol", "direction", "profile"]
    assert [(row[1], row[-2], row[-1]) for row in lines[1:]] == [
        ("AAAUSDT", "40", "2.0000"),
        ("BBBUSDT", "-20", "-1.0000"),
    ]


def test_the_bridge_names_what_is_not_explained(world: ApiWorld, viewer: Client) -> None:
    first = EquitySnapshot.objects.get()

    def booked(kind: str, change: str, minutes: int) -> None:
        LedgerEntry.objects.create(
            account=world.account, kind=kind, change_usd=D(change), reference=f"{kind}{minutes}",
            at=first.at + timedelta(minutes=minutes),
        )  # fmt: skip

    booked("trade", "50", 5)
    booked("fee", "-2", 5)
    booked("funding", "-1.5", 10)
    first.pk = None
    first.at += timedelta(minutes=20)
    first.wallet_balance_usd = D("10047.25")
    first.save()
    page = get(viewer, "/performance/")
    unexplained = re.search(r"Unexplained.*?([+−][\d.]+) USDT", page, re.DOTALL)
    assert unexplained is not None
    assert unexplained.group(1) == "+0.7500"


def test_the_curve_and_its_drawdown(world: ApiWorld, viewer: Client) -> None:
    first = EquitySnapshot.objects.get()
    for minutes, equity in ((10, 11_000), (20, 9_900), (30, 10_450)):
        EquitySnapshot.objects.create(
            account=world.account, at=first.at + timedelta(minutes=minutes), equity_usd=equity,
            adjusted_equity_usd=equity, wallet_balance_usd=equity, available_usd=equity, initial_margin_usd=0,
            maintenance_margin_usd=0, unrealised_pnl_usd=0,
        )  # fmt: skip
    curve = viewer.get("/performance/curve.json?range=all").json()
    assert curve["equity_usd"] == [10_000, 11_000, 9_900, 10_450]
    assert curve["drawdown_ratio"] == pytest.approx([0, 0, -0.1, -0.05])
