"""The dialog before the click says what the click would answer."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core.cache import cache

from accounts.models import TradingAccount
from avigrid.common import heartbeats
from avigrid.kernel.market import Ticker
from marketdata.services.prices import prices_publish
from tests.support.api_world import ApiWorld
from trading.avi5.spec import Refusal
from trading.models import Signal, SignalStatus
from trading.selectors.exchange_time import process_name
from trading.services.place_preview import place_preview
from trading.services.placing import signal_place
from trading.services.times import from_ms

pytestmark = pytest.mark.django_db
type Spoil = Callable[[ApiWorld, Signal], object]


@pytest.fixture
def world() -> ApiWorld:
    cache.clear()
    return ApiWorld()


def expired(world: ApiWorld, signal: Signal) -> None:
    Signal.objects.filter(pk=signal.pk).update(valid_until=from_ms(world.now_ms - 1_000))


def superseded(world: ApiWorld, signal: Signal) -> None:
    Signal.objects.filter(pk=signal.pk).update(status=SignalStatus.SUPERSEDED, reason="A newer one came.")


def waiting(world: ApiWorld, signal: Signal) -> None:
    frees = from_ms(world.now_ms + 300_000)
    Signal.objects.filter(pk=signal.pk).update(
        status=SignalStatus.QUEUED, queued_until=frees, valid_until=frees + timedelta(minutes=1)
    )


def moved(world: ApiWorld, signal: Signal) -> None:
    prices_publish([Ticker(signal.symbol, 100.2, 100.2, 100.2, 100.19, 100.21, 0.0001, 0, world.now_ms)])


def too_small(world: ApiWorld, signal: Signal) -> None:
    Signal.objects.filter(pk=signal.pk).update(
        spec={**signal.spec, "refusal": Refusal.BELOW_MINIMUM.value}, reason="Too small for the exchange."
    )


def taken(world: ApiWorld, signal: Signal) -> None:
    """In one-way mode one plan has the whole symbol; the same side a second time risk refuses itself."""
    TradingAccount.objects.filter(pk=world.account.pk).update(hedge_mode=False)
    assert world.place(world.signal(signal.symbol, -signal.direction)).placed


CASES: dict[str, Spoil] = {
    "position_taken": taken,
    "signal_expired": expired,
    "signal_superseded": superseded,
    "signal_queued": waiting,
    "price_moved": moved,
    "signal_below_minimum": too_small,
}


@pytest.mark.parametrize("code", CASES)
def test_what_the_click_refuses_the_dialog_says(world: ApiWorld, code: str) -> None:
    signal = world.signal()
    CASES[code](world, signal)
    preview = place_preview(signal_id=signal.pk, account_id=world.account.pk)
    answer = signal_place(signal_id=signal.pk, account_id=world.account.pk, user=None)
    assert answer.code == code
    assert preview.blocked == answer.sentence
    assert not preview.is_placeable
    assert not preview.is_queueable


def test_a_wrong_clock_refuses_in_both(world: ApiWorld, settings: Any) -> None:
    settings.AVIGRID = {**settings.AVIGRID, "DEMO": False}
    TradingAccount.objects.filter(pk=world.account.pk).update(environment="testnet")
    detail: dict[str, object] = {"exchange_ms": world.now_ms, "rate_ratio": 1.0, "offset_ms": 5_000}
    heartbeats.beat(process_name(world.account.pk), detail)
    signal = world.signal()
    preview = place_preview(signal_id=signal.pk, account_id=world.account.pk)
    answer = signal_place(signal_id=signal.pk, account_id=world.account.pk, user=None)
    assert preview.verdict is not None
    assert [outcome.code for outcome in preview.verdict.refusals] == list(answer.refused) == ["clock"]


def test_what_nothing_speaks_against_is_placed(world: ApiWorld) -> None:
    signal = world.signal()
    assert place_preview(signal_id=signal.pk, account_id=world.account.pk).is_placeable
    assert signal_place(signal_id=signal.pk, account_id=world.account.pk, user=None).placed
