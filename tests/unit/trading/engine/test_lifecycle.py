"""The order state table: complete, closed, and right in the places that cost money."""

import pytest

from avigrid.kernel.orders import OrderStatus as S
from trading.engine.lifecycle import TABLE, Outcome, transition
from trading.engine.lifecycle import OrderEventKind as E


def test_every_status_and_event_is_defined_once() -> None:
    assert set(TABLE) == {(status, event) for status in S for event in E}
    assert len(TABLE) == 9 * 16


def test_impossible_and_same_never_move() -> None:
    for (status, _), moved in TABLE.items():
        if moved.outcome in (Outcome.IMPOSSIBLE, Outcome.SAME):
            assert moved.to is status


@pytest.mark.parametrize(
    ("status", "event", "to", "outcome"),
    [
        (S.INTENT, E.SEND, S.SUBMITTING, Outcome.MOVED),
        (S.SUBMITTING, E.ACK, S.OPEN, Outcome.MOVED),
        (S.SUBMITTING, E.UNCERTAIN, S.UNKNOWN, Outcome.MOVED),
        (S.SUBMITTING, E.NOT_SENT, S.INTENT, Outcome.MOVED),
        (S.UNKNOWN, E.SEND, S.UNKNOWN, Outcome.IMPOSSIBLE),
        (S.UNKNOWN, E.NOT_SENT, S.UNKNOWN, Outcome.IMPOSSIBLE),
        (S.UNKNOWN, E.ADOPT, S.OPEN, Outcome.MOVED),
        (S.UNKNOWN, E.NO_EVIDENCE, S.EXPIRED, Outcome.MOVED),
        (S.SUBMITTING, E.NO_EVIDENCE, S.SUBMITTING, Outcome.IMPOSSIBLE),
        (S.OPEN, E.NO_EVIDENCE, S.OPEN, Outcome.IMPOSSIBLE),
        (S.OPEN, E.MISSING, S.UNKNOWN, Outcome.MOVED),
        (S.OPEN, E.ACK, S.OPEN, Outcome.SAME),
        (S.FILLED, E.ACK, S.FILLED, Outcome.SAME),
        (S.FILLED, E.VENUE_CANCELLED, S.FILLED, Outcome.IMPOSSIBLE),
        (S.CANCELLED, E.FULL_FILL, S.FILLED, Outcome.MOVED),
        (S.CANCELLED, E.ADOPT, S.OPEN, Outcome.SURPRISE),
        (S.EXPIRED, E.PARTIAL_FILL, S.UNKNOWN, Outcome.SURPRISE),
        (S.REJECTED, E.ACK, S.UNKNOWN, Outcome.SURPRISE),
        (S.OPEN, E.AMENDED, S.OPEN, Outcome.MOVED),
        (S.FILLED, E.AMENDED, S.PARTIALLY_FILLED, Outcome.SURPRISE),
        (S.CANCELLED, E.AMENDED, S.CANCELLED, Outcome.SAME),
        (S.INTENT, E.WITHDRAW, S.CANCELLED, Outcome.MOVED),
        (S.SUBMITTING, E.WITHDRAW, S.SUBMITTING, Outcome.IMPOSSIBLE),
    ],
)
def test_transitions_that_cost_money(status: S, event: E, to: S, outcome: Outcome) -> None:
    moved = transition(status, event)
    assert (moved.to, moved.outcome) == (to, outcome)


def test_only_an_intent_is_ever_sent() -> None:
    movers = {status for status in S if transition(status, E.SEND).outcome is Outcome.MOVED}
    assert movers == {S.INTENT}


def test_nothing_leads_back_to_intent_but_a_proven_non_send() -> None:
    back = [key for key, moved in TABLE.items() if moved.to is S.INTENT and key[0] is not S.INTENT]
    assert back == [(S.SUBMITTING, E.NOT_SENT)]


def test_filled_follows_from_executions_only() -> None:
    into = {event for (status, event), moved in TABLE.items() if moved.to is S.FILLED and status is not S.FILLED}
    assert into == {E.FULL_FILL}
