"""The log of what the venue did to the execution process: when each began, was mended and was proven to be over."""

from trading.runtime.incidents import MOST_KEPT, Incidents


class Wall:
    now_ms = 1_000

    def __call__(self) -> int:
        return self.now_ms


def log() -> tuple[Incidents, Wall]:
    wall = Wall()
    return Incidents(wall), wall


def test_a_storm_ends_when_every_refused_call_was_answered() -> None:
    incidents, wall = log()
    incidents.call("get_positions", "ok")
    incidents.call("get_positions", "rate_limited")
    wall.now_ms = 1_200
    incidents.call("place_order", "rate_limited")
    wall.now_ms = 2_500
    incidents.call("get_positions", "ok")
    incidents.call("get_wallet", "ok")
    assert incidents.told()[0]["proven_ms"] is None
    wall.now_ms = 2_700
    incidents.call("place_order", "ok")
    assert incidents.told() == [
        {
            "kind": "rate_limited", "what": "get_positions", "detected_ms": 1_000, "count": 2, "repaired_ms": 1_200,
            "proven_ms": 2_700,
        }
    ]  # fmt: skip
    incidents.call("place_order", "rate_limited")
    assert [row["count"] for row in incidents.told()] == [2, 1]


def test_a_clock_that_was_set_is_proven_by_the_next_measurement() -> None:
    incidents, wall = log()
    incidents.clock_error(40, limit_ms=1_000)
    assert incidents.told() == []
    incidents.clock_error(3_000, limit_ms=1_000)
    wall.now_ms = 11_000
    incidents.clock_error(-20, limit_ms=1_000)
    (row,) = incidents.told()
    assert (row["what"], row["detected_ms"], row["repaired_ms"], row["proven_ms"]) == ("+3.0 s", 1_000, 1_000, 11_000)


def test_a_refused_stamp_is_a_clock_that_was_set() -> None:
    incidents, _wall = log()
    incidents.call("get_positions", "clock_skew")
    incidents.clock_error(0, limit_ms=1_000)
    (row,) = incidents.told()
    assert (row["kind"], row["what"], row["proven_ms"]) == ("clock_step", "get_positions", 1_000)


def test_a_stream_is_down_once_until_it_is_up() -> None:
    incidents, wall = log()
    for state in ("up", "down", "down", "gap"):
        incidents.stream(state)
    wall.now_ms = 5_000
    incidents.stream("up")
    (row,) = incidents.told()
    assert (row["kind"], row["detected_ms"], row["repaired_ms"]) == ("stream_down", 1_000, 5_000)


def test_a_burst_told_again_is_one_incident_and_old_ones_are_forgotten() -> None:
    incidents, wall = log()
    incidents.told_again(2)
    wall.now_ms += 200
    incidents.told_again(3)
    assert [row["count"] for row in incidents.told()] == [5]
    for _ in range(20):
        wall.now_ms += 2_000
        incidents.told_again(1)
    assert [row["count"] for row in incidents.told()] == [1] * MOST_KEPT
