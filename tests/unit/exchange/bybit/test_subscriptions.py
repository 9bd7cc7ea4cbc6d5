"""The topics of one socket, with a hand-moved clock and no socket."""

import json
from typing import Any

import pytest

from avigrid.exchange.bybit.codec.control import Control
from avigrid.exchange.bybit.policy import StreamPolicy, backoff_s
from avigrid.exchange.bybit.subscriptions import Subscriptions

POLICY = StreamPolicy(silence_s={"kline": 25.0}, answer_within_s=15.0, topics_per_request=2)
A, B, C, TRADES = "kline.5.A", "kline.5.B", "kline.5.C", "publicTrade.A"


class Socket:
    def __init__(self, *topics: str) -> None:
        self.now_s = 0.0
        self.sent: list[dict[str, Any]] = []
        self.states: list[tuple[str, str, str]] = []
        self.topics = Subscriptions(
            "s",
            topics,
            send=lambda text: self.sent.append(json.loads(text)),
            on_state=lambda *state: self.states.append(state),
            policy=POLICY,
            monotonic=lambda: self.now_s,
        )

    def answer(self, request: dict[str, Any], message: str = "") -> None:
        self.topics.answered(Control("subscribe", not message, message, request["req_id"]))

    def answer_all(self) -> None:
        for request in self.sent:
            if request["op"] == "subscribe":
                self.answer(request)
        self.sent.clear()

    def asked(self) -> list[tuple[str, list[str]]]:
        found = [(request["op"], request["args"]) for request in self.sent]
        self.sent.clear()
        return found


def up(*topics: str) -> Socket:
    socket = Socket(*topics)
    socket.topics.connected()
    socket.answer_all()
    socket.states.clear()
    return socket


def test_nothing_is_asked_before_there_is_a_connection() -> None:
    socket = Socket(A)
    socket.topics.add([B])
    socket.topics.renew(A)
    assert socket.sent == []
    socket.topics.connected()
    assert socket.asked() == [("subscribe", [A, B])]


def test_requests_are_split_and_answers_bring_topics_up_once() -> None:
    socket = Socket(A, B, C)
    socket.topics.connected()
    first, second = socket.sent
    assert (first["args"], second["args"]) == ([A, B], [C])
    assert socket.topics.seen(A)
    socket.answer(first)
    socket.answer(second)
    assert socket.states == [("up", A, ""), ("up", B, ""), ("up", C, "")]


def test_a_bad_topic_is_found_by_asking_singly_and_left_alone() -> None:
    socket = Socket(A, B)
    socket.topics.connected()
    socket.answer(socket.sent.pop(), "Invalid topic")
    alone_a, alone_b = socket.sent
    assert (alone_a["args"], alone_b["args"]) == ([A], [B])
    socket.answer(alone_a)
    socket.answer(alone_b, "Invalid topic")
    assert socket.states == [("up", A, ""), ("down", B, "refused: Invalid topic")]
    assert socket.topics.topics == [A]
    socket.sent.clear()

    socket.topics.disconnected("broken")
    socket.topics.connected()
    assert socket.asked() == [("subscribe", [A]), ("subscribe", [B])]
    assert socket.states[2:] == [("down", A, "broken")]


def test_a_refusal_can_pass() -> None:
    socket = Socket(A)
    socket.topics.connected()
    socket.answer(socket.sent.pop(), "busy")
    socket.topics.ask_refused_again()
    socket.answer(socket.sent.pop())
    assert socket.states == [("down", A, "refused: busy"), ("up", A, "")]
    assert socket.topics.refused == {}
    assert socket.topics.topics == [A]


def test_a_refusal_without_an_id_belongs_to_the_oldest_request() -> None:
    socket = Socket(A)
    socket.topics.connected()
    socket.topics.answered(Control("subscribe", False, "Invalid topic", ""))
    assert socket.topics.refused == {A: "Invalid topic"}


def test_a_refusal_of_a_topic_that_delivers_is_ignored() -> None:
    socket = up(A)
    socket.topics.renew(A)
    socket.answer(socket.sent[-1], "already subscribed")
    assert socket.topics.refused == {}


def test_silence_is_struck_once_and_data_ends_it() -> None:
    socket = up(A, B, C)
    for topic in (B, C):
        socket.now_s = 20.0
        socket.topics.seen(topic)
    socket.now_s = 25.5
    assert socket.topics.fault(socket.now_s) == ""
    assert socket.states == [("stale", A, "silent for 25 s")]
    assert socket.asked() == [("unsubscribe", [A]), ("subscribe", [A])]
    assert socket.topics.fault(26.0) == ""
    assert socket.states == [("stale", A, "silent for 25 s")]
    assert socket.topics.seen(A)
    assert socket.states[1:] == [("up", A, "")]
    assert socket.topics.counts["resubscribed"] == 1


def test_one_dead_topic_does_not_cost_the_others_their_socket() -> None:
    socket = up(A, B, C)
    for second in range(0, 600, 5):
        socket.now_s = float(second)
        socket.topics.seen(B)
        socket.topics.seen(C)
        assert socket.topics.fault(socket.now_s) == ""
        socket.answer_all()
    assert [state for state in socket.states if state[0] == "stale"] == [("stale", A, "silent for 25 s")]


def test_a_socket_on_which_most_are_silent_is_given_up() -> None:
    socket = up(A, B)
    socket.now_s = 26.0
    assert socket.topics.fault(26.0) == ""
    socket.answer_all()
    socket.now_s = 80.0
    assert socket.topics.fault(80.0) == "2 topics silent"


def test_trades_may_be_quiet() -> None:
    socket = up(TRADES)
    assert socket.topics.fault(10_000.0) == ""
    assert socket.states == []


def test_an_unanswered_request_gives_the_socket_up() -> None:
    socket = Socket(TRADES)
    socket.topics.connected()
    assert socket.topics.fault(14.0) == ""
    assert socket.topics.fault(16.0) == "no answer to a subscription"


def test_down_is_said_once_per_reason() -> None:
    socket = up(A)
    for reason in ("reset", "refused", "refused", "refused"):
        socket.topics.disconnected(reason)
    assert socket.states == [("down", A, "reset"), ("down", A, "refused")]
    socket.topics.connected()
    socket.answer_all()
    socket.topics.disconnected("refused")
    assert socket.states[2:] == [("up", A, ""), ("down", A, "refused")]


def test_what_was_left_is_not_listened_to() -> None:
    socket = up(A, B)
    socket.topics.remove([A, "kline.5.NEVER"])
    assert socket.asked() == [("unsubscribe", [A])]
    assert not socket.topics.seen(A)
    assert socket.topics.topics == [B]


class Chance:
    def __init__(self, value: float) -> None:
        self.value = value

    def random(self) -> float:
        return self.value


@pytest.mark.parametrize(
    ("failures", "low_s", "high_s"), [(0, 0.25, 0.5), (1, 0.5, 1.0), (3, 2.0, 4.0), (6, 15.0, 30.0), (1000, 15.0, 30.0)]
)
def test_backoff_grows_to_a_ceiling_with_jitter(failures: int, low_s: float, high_s: float) -> None:
    assert backoff_s(StreamPolicy(), failures, Chance(0.0)) == low_s  # type: ignore[arg-type]
    assert backoff_s(StreamPolicy(), failures, Chance(1.0)) == high_s  # type: ignore[arg-type]
