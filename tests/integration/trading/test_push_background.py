"""Events of the execution process leave through a thread of their own and still arrive."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest
from channels.layers import get_channel_layer

from avigrid.common import push
from tests.support.simulator_server import eventually

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def background(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(push, "_waiting", None)
    push.start_background()


def test_an_event_arrives_through_the_background_thread(background: None) -> None:
    async def listen() -> dict[str, object]:
        layer = get_channel_layer()
        channel = await layer.new_channel()
        await layer.group_add(push.GROUP, channel)
        push.send_now("test", {"number": 7})
        return await asyncio.wait_for(layer.receive(channel), 10)

    message = asyncio.run(listen())
    assert message == {"type": "live.event", "kind": "test", "payload": {"number": 7}}


def test_a_full_queue_loses_events_and_never_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    import queue

    waiting: queue.Queue[tuple[str, dict[str, object]]] = queue.Queue(1)
    monkeypatch.setattr(push, "_waiting", waiting)
    for number in range(3):
        push.send_now("test", {"number": number})
    assert eventually(lambda: waiting.qsize() == 1)
    assert waiting.get() == ("test", {"number": 0})


_SENDS_AND_ENDS = """
import django
django.setup()
from avigrid.common import push
push.start_background()
push.send_now("test", {})
print("over", flush=True)
"""


def test_a_process_that_pushes_can_end() -> None:
    """It hung here until somebody killed it: the thread that waits for the next event was waited for."""
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "avigrid.settings.test", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", _SENDS_AND_ENDS], env=environment, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "over\n"
