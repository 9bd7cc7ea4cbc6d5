"""Rows written the short way say what the framework would have said."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from django.core.cache import cache
from rest_framework import serializers

from avigrid.common.api_rows import RowSerializer
from risk.api import serializers as of_risk
from risk.core.states import StateSource
from risk.services.states import halt
from tests.support.api_world import ApiWorld
from trading.api import serializers as of_trading
from trading.models import Plan, Signal
from trading.services.placing import signal_place
from trading.services.times import from_ms

pytestmark = pytest.mark.django_db
ROWS = [
    kind
    for module in (of_trading, of_risk)
    for kind in vars(module).values()
    if isinstance(kind, type) and issubclass(kind, RowSerializer) and kind is not RowSerializer
]


@pytest.fixture
def world() -> ApiWorld:
    cache.clear()
    world = ApiWorld()
    placement = signal_place(
        signal_id=world.signal().pk, account_id=world.account.pk, user=None, actor="test", now=from_ms(world.now_ms)
    )
    world.holding(Plan.objects.get(pk=placement.plan_id))
    world.finding()
    halt(account_id=world.account.pk, symbol=None, source=StateSource.API, reason="test", actor=None)
    return world


@pytest.mark.parametrize("kind", ROWS, ids=lambda kind: kind.__name__)
def test_the_short_way_is_the_same(world: ApiWorld, kind: type[RowSerializer[Any]]) -> None:
    rows = list(kind.Meta.model._default_manager.all())
    assert rows, "the world holds no such row"
    for row in rows:
        short = kind(row)
        assert short.data == serializers.ModelSerializer.to_representation(short, row)


def test_awkward_values(world: ApiWorld) -> None:
    """Before a row was read back, fields hold whatever they were given."""
    signal = Signal.objects.latest("pk")
    signal.entry_price = Decimal("12345678901234567890.5")
    signal.stop_price = 7  # type: ignore[assignment]
    signal.created_at = datetime(2026, 1, 1, 3, tzinfo=timezone(timedelta(hours=3)))
    signal.valid_until = datetime(2026, 1, 1, 0, 0, 0, 5, tzinfo=UTC)
    shown = of_trading.SignalSerializer(signal).data
    assert shown["entry_price"] == "12345678901234567890.500000000000000000"
    assert shown["stop_price"] == "7.000000000000000000"
    assert shown["created_at"] == "2026-01-01T00:00:00Z"
    assert shown["valid_until"] == "2026-01-01T00:00:00.000005Z"
    assert shown == serializers.ModelSerializer.to_representation(of_trading.SignalSerializer(signal), signal)
