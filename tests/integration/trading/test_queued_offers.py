"""An offer that must wait for its symbol to free up: queued by a person's click, offered again, placed."""

import re
from datetime import timedelta

import pytest
from django.core.cache import cache
from django.test import Client

from risk.models import EntryMark
from risk.services.meters import entry_note
from tests.support.api_world import ApiWorld
from tests.support.users import login, make_user
from trading.models import Plan, ReconciliationRun, Signal, SignalStatus
from trading.runtime.auto_clicks import AutoClicks
from trading.selectors.desk import signal_cards
from trading.services.auto_mode import auto_mode_grant
from trading.services.decisions import signals_expire
from trading.services.times import from_ms

pytestmark = pytest.mark.django_db
SYMBOL = "AAAUSDT"
CHURN_MS = 900_000
WAITED_MS = 300_000


@pytest.fixture
def world() -> ApiWorld:
    """Five minutes ago somebody entered the same side of the same symbol."""
    cache.clear()
    world = ApiWorld()
    entry_note(account_id=world.account.pk, symbol=SYMBOL, direction=1, at=from_ms(world.now_ms - WAITED_MS))
    return world


@pytest.fixture
def trader() -> Client:
    return login(Client(), make_user("trader"))


def queued(world: ApiWorld, trader: Client) -> Signal:
    signal = world.signal(SYMBOL)
    answer = trader.post(f"/signals/{signal.pk}/place", headers={"HX-Request": "true"}).content.decode()
    assert "refused" not in answer
    assert "is queued" in answer
    signal.refresh_from_db()
    return signal


def freed(world: ApiWorld, signal: Signal) -> None:
    """The wait is over since a second; what the symbol remembers of the earlier entry is as old."""
    now = from_ms(world.now_ms)
    shift = from_ms(world.now_ms - WAITED_MS + CHURN_MS) - now + timedelta(seconds=1)
    EntryMark.objects.update(entered_at=from_ms(world.now_ms - CHURN_MS - 1_000))
    signal.created_at -= shift
    signal.valid_until -= shift
    signal.queued_until -= shift
    signal.save()


def test_the_dialog_offers_to_queue_and_says_why_and_how_long(world: ApiWorld, trader: Client) -> None:
    signal = world.signal(SYMBOL)
    dialog = trader.get(f"/signals/{signal.pk}/confirm").content.decode()
    button = re.search(r'<button class="button primary"[^>]*>([^<]*)</button>', dialog)
    assert button is not None
    assert button.group(1) == "Queue it"
    assert "disabled" not in button.group(0)
    assert re.search(r"The last long entry on AAAUSDT was too recent; free in (600|59\d) s\.", dialog)
    assert re.search(r'data-until="[^"]+"', dialog)


def test_what_is_refused_for_more_than_the_wait_cannot_be_queued(world: ApiWorld, trader: Client) -> None:
    ReconciliationRun.objects.all().delete()
    dialog = trader.get(f"/signals/{world.signal(SYMBOL).pk}/confirm").content.decode()
    assert re.search(r'<button class="button primary" type="submit" disabled>Place now</button>', dialog)


def test_a_queued_offer_outlives_its_wait_by_its_own_validity(world: ApiWorld, trader: Client) -> None:
    signal = queued(world, trader)
    assert signal.status == SignalStatus.QUEUED
    assert signal.queued_until == from_ms(world.now_ms - WAITED_MS + CHURN_MS)
    assert signal.valid_until == signal.queued_until + timedelta(seconds=60)
    assert signals_expire(now=from_ms(world.now_ms + 120_000)) == 0
    [card] = [card for card in signal_cards() if card.id == signal.pk]
    assert not card.is_placeable
    assert card.expires_at > card.frees_at


def test_offered_again_it_is_placed(world: ApiWorld, trader: Client) -> None:
    signal = queued(world, trader)
    freed(world, signal)
    page = trader.get("/").content.decode()
    card = page[page.index(f'id="signal-{signal.pk}"') :]
    assert "data-placeable" in card[: card.index(">")]
    answer = trader.post(f"/signals/{signal.pk}/place", headers={"HX-Request": "true"}).content.decode()
    assert "placed as plan" in answer
    assert Plan.objects.get().signal_id == signal.pk


def test_auto_mode_leaves_alone_what_outlived_its_minute(world: ApiWorld, trader: Client) -> None:
    """Nobody looks: an offer of a quarter of an hour ago is a person's to judge."""
    auto_mode_grant(
        account_id=world.account.pk,
        symbol=SYMBOL,
        minutes=60,
        reason="night",
        user=make_user("trader"),
        otp_used=True,
        now=from_ms(world.now_ms),
    )
    signal = queued(world, trader)
    freed(world, signal)
    assert AutoClicks().run(world.account.pk) == 0
    assert not Plan.objects.exists()
