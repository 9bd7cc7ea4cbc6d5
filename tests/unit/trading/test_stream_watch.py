"""A private stream that lives and has lost a subscription: what it owes is told by asking first."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from avigrid.exchange.ports import StreamState
from avigrid.kernel.orders import Execution, OrderType, Side, VenueOrder
from trading.runtime import stream_watch
from trading.runtime.stream_watch import StreamWatch

D = Decimal
NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)
FILL = Execution("x1", "v1", "av-1-e0-0-0", "BTCUSDT", Side.BUY, D(100), D(1), D(0), False, 1_001)
OVER = VenueOrder(
    "v1", "av-1-e0-0-0", "BTCUSDT", Side.BUY, OrderType.LIMIT, "Filled", D(1), D(100), D(1), D(100), "GTC", False, 1, 5,
    1_001,
)  # fmt: skip


class Line:
    """An inbox that counts how often the stream is opened anew."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.waiting, self.switched, self.told = 0, 0, list[str]()
        monkeypatch.setattr(stream_watch, "alert_raise", self._tell)
        self.watch = StreamWatch()
        self.watch.state(StreamState("up", "private", "", 1_000))

    def __len__(self) -> int:
        return self.waiting

    def switch(self, feed: Any) -> None:
        self.switched += 1

    def look(self, after_s: float) -> int:
        inbox: Any = self
        feed: Any = None
        self.watch.look(inbox, feed, account_id=1, now=NOW + timedelta(seconds=after_s))
        return self.switched

    def _tell(self, *, dedupe_key: str, sentence: str, **_: Any) -> None:
        if dedupe_key not in self.told:
            self.told.append(dedupe_key)
        assert "execution x1/v1" in sentence or "order av-1-e0-0-0" in sentence


@pytest.fixture
def line(monkeypatch: pytest.MonkeyPatch) -> Line:
    return Line(monkeypatch)


@pytest.mark.parametrize("kind", ["execution", "order"])
def test_what_is_never_told_opens_the_stream_anew_and_is_said(line: Line, kind: str) -> None:
    if kind == "execution":
        line.watch.asked_execution(FILL, NOW)
    else:
        line.watch.asked_order(OVER, NOW)
    assert [line.look(4.9), line.look(5), line.look(6)] == [0, 1, 1]
    assert len(line.told) == 1


def test_what_the_stream_tells_a_moment_later_is_no_silence(line: Line) -> None:
    line.watch.asked_execution(FILL, NOW)
    line.watch.asked_order(OVER, NOW)
    line.watch.told([OVER, FILL])
    assert line.look(60) == 0


def test_an_older_frame_does_not_pay_for_a_newer_word(line: Line) -> None:
    line.watch.asked_order(OVER, NOW)
    line.watch.told([replace(OVER, status="New", updated_ms=1_000)])
    assert line.look(5) == 1


def test_frames_that_wait_to_be_heard_are_heard_first(line: Line) -> None:
    line.watch.asked_execution(FILL, NOW)
    line.waiting = 1
    assert line.look(30) == 0


def test_what_happened_before_the_stream_was_up_is_not_owed(line: Line) -> None:
    line.watch.state(StreamState("up", "private", "", 1_001))
    line.watch.asked_execution(FILL, NOW)
    line.watch.state(StreamState("down", "private", "closed", 1_002))
    line.watch.asked_execution(replace(FILL, time_ms=1_003), NOW)
    assert line.look(60) == 0


def test_a_gap_that_is_made_good_by_comparing_is_no_silence(line: Line) -> None:
    line.watch.asked_execution(FILL, NOW)
    line.watch.state(StreamState("gap", "private", "unreadable message", 1_500))
    assert line.look(60) == 0


def test_resting_orders_and_funding_are_not_waited_for(line: Line) -> None:
    line.watch.asked_order(replace(OVER, status="New"), NOW)
    line.watch.asked_execution(replace(FILL, kind="Funding"), NOW)
    assert line.look(60) == 0


def test_a_stream_that_stays_silent_is_opened_anew_once_a_minute_and_told_once(line: Line) -> None:
    for second in range(0, 180, 10):
        line.watch.state(StreamState("up", "private", "", 1_000))
        line.watch.asked_execution(FILL, NOW + timedelta(seconds=second))
        line.look(second + 5)
    assert line.switched == 3
    assert len(line.told) == 1
