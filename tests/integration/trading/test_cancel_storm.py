"""Cancels while the venue refuses nearly everything: from being asked for to being accepted, on a clock of the test."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from math import ceil
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone

from avigrid.exchange.bybit.calls import CANCEL, CANCEL_BATCH, CREATE, Call, Lane
from avigrid.exchange.bybit.gateway import BybitGateway
from avigrid.exchange.bybit.limits import Limiter, LocalWindows
from avigrid.kernel.errors import Retryable
from tests.support.api_world import ApiWorld
from trading.models import Order
from trading.runtime import cancelling, venue
from trading.runtime.breakers import Breakers
from trading.runtime.sending import Sender

pytestmark = pytest.mark.django_db(transaction=True)
D = Decimal
ROUND_TRIP_S = 0.03
TURN_S = 0.02
RUNGS = 15


class StormyVenue:
    """Stands where RestClient stands, with the real budgets in front. Time passes only by waiting for it."""

    def __init__(self) -> None:
        self.began = self.at = timezone.now()
        self.asked: list[tuple[str, datetime]] = []
        self.cancelled: dict[str, datetime] = {}
        self.limiter = Limiter(
            LocalWindows(self.monotonic, share_ratio=0.9), account="storm", monotonic=self.monotonic, sleep=self.sleep
        )

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return (self.at - self.began).total_seconds()

    def sleep(self, seconds: float) -> None:
        self.at += timedelta(seconds=max(seconds, 0.001))  # a sliver of a microsecond would never pass

    def call(
        self, call: Call, params: Mapping[str, Any], *, lane: Lane, patience_s: float, cost: int = 1
    ) -> dict[str, Any]:
        """Of single cancels every fourth is refused, of creates every one, and more than ten orders a second of any."""
        for _ in range(cost):
            self.limiter.acquire(call, lane, patience_s=patience_s)
        self.sleep(ROUND_TRIP_S)
        earlier = [at for name, at in self.asked if name == call.name]
        self.asked += [(call.name, self.at)] * cost
        is_crowded = sum(self.at - at < timedelta(seconds=1) for at in earlier) + cost > 10
        if is_crowded or call is CREATE or (call is CANCEL and len(earlier) % 4 == 1):
            wait_s = 0.5 if call is CREATE else 0.2
            self.limiter.refused_by_venue(call, seconds=wait_s)
            raise Retryable("too many visits", code="rate_limited", retry_after_s=wait_s)
        rows = params.get("request", [params])
        for row in rows if call in (CANCEL, CANCEL_BATCH) else ():
            self.cancelled[row["orderLinkId"]] = self.at
        return {"retCode": 0, "result": {}, "retExtInfo": {"list": [{"code": 0}] * len(rows)}}


def test_18_cancels_are_through_within_a_second_of_being_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """One call after the other, which is slower than the handful at once of the real process."""
    monkeypatch.setattr(cancelling, "_AT_ONCE", 1)
    world, storm = ApiWorld(), StormyVenue()
    rest: Any = storm
    context: Any = SimpleNamespace(
        account_id=world.account.pk,
        environment="simulated",
        redis_down=False,
        look_at_redis=lambda: None,
        now=storm.now,
        books=transaction.atomic,
        breakers=Breakers(),
        rng=Random(1),
        gateway=BybitGateway(rest, write_patience_s=venue._WRITE_PATIENCE_S),
        prices=SimpleNamespace(read=lambda symbols: {symbol: SimpleNamespace(mark=D(100)) for symbol in symbols}),
        pulse=lambda: None,
    )
    resting = Order.objects.get(plan=world.placed(), role="entry")
    waiting = {world.placed(symbol).pk for symbol in ("BBBUSDT", "CCCUSDT")}
    name = resting.order_link_id
    for rung in range(RUNGS):
        resting.pk, resting.order_link_id, resting.rung = resting.pk if rung == 0 else None, f"{name}-{rung}", rung
        resting.status, resting.cancel_requested_at = "open", storm.at
        resting.save()
    sender = Sender(context, entries_ready=True)
    asked_at = storm.at
    while len(storm.cancelled) < RUNGS:
        assert storm.monotonic() < 30
        sender.run()
        Order.objects.filter(order_link_id__in=storm.cancelled).update(status="cancelled", closed_at=storm.at)
        storm.sleep(TURN_S)
    took_s = sorted((at - asked_at).total_seconds() for at in storm.cancelled.values())
    names = [name for name, _ in storm.asked]
    assert names.count("create") >= 1
    assert names.count("cancel") + names.count("cancel_batch") > RUNGS
    assert set(Order.objects.filter(plan__in=waiting).values_list("status", flat=True)) == {"intent"}
    assert took_s[ceil(0.95 * RUNGS) - 1] < 1.0, took_s
