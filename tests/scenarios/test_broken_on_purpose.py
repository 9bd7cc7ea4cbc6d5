"""Every button of the Break it panel against a simulated exchange: detected, repaired, proven, with the seconds."""

from collections.abc import Iterator

import pytest
from django.core.cache import cache
from django.test import override_settings
from django.utils import timezone

from accounts.models import User
from tests.support.settings import avigrid_settings
from tests.support.trading_desk import TradingDesk
from tests.support.users import make_user
from trading.runtime.incidents import INCIDENTS
from trading.selectors.demo_faults import KEY, FaultNote, FaultStory, fault_stories
from trading.services.demo_faults import demo_fault_start

NEVER = float("-inf")


@pytest.fixture
def broken(desk: TradingDesk) -> Iterator[TradingDesk]:
    cache.clear()
    INCIDENTS._kept.clear()
    with override_settings(AVIGRID=avigrid_settings(DEMO=True, SIMULATOR_URL=desk.simulator.url)):
        desk.start()
        yield desk


def strike(desk: TradingDesk, name: str, user: User) -> None:
    desk.settle()
    demo_fault_start(name=name, account_id=desk.account.pk, user=user)


def stages_of(desk: TradingDesk, name: str) -> list[str]:
    """The story's stages in the order of their seconds; the heartbeat is written with every look."""
    assert desk.execution is not None
    desk.execution._timers.heartbeat.last_s = NEVER
    desk.execution.turn(wait_s=0.02)
    story = story_of(desk, name)
    seconds = [row.after_s for row in story.consequences]
    assert seconds == sorted(seconds)
    assert all(0 <= after_s < 60 for after_s in seconds)
    return [row.stage for row in story.consequences]


def story_of(desk: TradingDesk, name: str) -> FaultStory:
    return next(story for story in fault_stories(desk.account.pk) if story.note.name == name)


def assert_told_whole(desk: TradingDesk, name: str) -> None:
    """Detected first, proven last, repaired between."""

    def is_whole() -> bool:
        stages = stages_of(desk, name)
        return {"detect", "repair", "proof"} <= set(stages)

    desk.until(is_whole, what=f"{name}: {[row.text for row in story_of(desk, name).consequences]}")
    stages = stages_of(desk, name)
    assert stages[0] == "detect", story_of(desk, name)
    assert stages.index("detect") < stages.index("repair") < stages.index("proof"), story_of(desk, name)


def test_each_fault_is_detected_repaired_and_proven(broken: TradingDesk) -> None:
    desk, user = broken, make_user("trader")
    execution = desk.execution
    assert execution is not None

    strike(desk, "rate_limit", user)
    desk.settle(5)  # the comparison that came with it is refused; the test's own questions would be too
    desk.clear_faults()
    assert stages_of(desk, "rate_limit")[0] == "detect"
    execution._timers.full.last_s = NEVER
    assert_told_whole(desk, "rate_limit")

    strike(desk, "clock_skew", user)
    execution._timers.clock.last_s = execution._timers.surroundings.last_s = NEVER
    desk.until(lambda: "repair" in stages_of(desk, "clock_skew"), what="step noticed")
    execution._timers.clock.last_s = execution._timers.surroundings.last_s = NEVER
    assert_told_whole(desk, "clock_skew")
    assert "+3.0 s" in story_of(desk, "clock_skew").consequences[0].text
    desk.clear_faults()

    strike(desk, "lost_ack", user)
    plan = desk.opened(symbol="SOLUSDT")
    assert_told_whole(desk, "lost_ack")
    desk.clear_faults()

    strike(desk, "duplicate_fill", user)
    desk.opened(symbol="BTCUSDT")
    assert_told_whole(desk, "duplicate_fill")
    desk.clear_faults()

    strike(desk, "drop_stream", user)
    desk.until(lambda: execution.stream != "up", what="cut")
    desk.clear_faults()
    desk.until(lambda: execution.stream == "up", timeout_s=20, what="up again")
    assert_told_whole(desk, "drop_stream")

    # the process to be shot would be this one: it falls as SIGKILL leaves it
    desk.kill()
    cache.set(KEY, [FaultNote("kill_execution", timezone.now()), *cache.get(KEY)], 60)
    desk.start()
    assert_told_whole(desk, "kill_execution")

    plan.refresh_from_db()
    assert plan.stop_confirmed == plan.stop_price
    desk.settle()
    desk.assert_books_equal_venue()
