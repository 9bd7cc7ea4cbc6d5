"""Cursors, weeks and windows."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from avigrid.exchange.bybit.codec.fields import MalformedMessage
from avigrid.exchange.bybit.paging import kline_windows, pages, weeks

WEEK_MS = 604_800_000


def test_cursors_are_handed_back_as_they_came() -> None:
    asked: list[str] = []
    replies = {"": "a%3A1%2Cb", "a%3A1%2Cb": "c", "c": ""}

    def fetch(cursor: str) -> dict[str, object]:
        asked.append(cursor)
        return {"result": {"list": [1], "nextPageCursor": replies[cursor]}}

    assert len(list(pages(fetch))) == 3
    assert asked == ["", "a%3A1%2Cb", "c"]


def test_an_empty_page_ends_the_list_even_with_a_cursor() -> None:
    assert len(list(pages(lambda _cursor: {"result": {"list": [], "nextPageCursor": "more"}}))) == 1


def test_a_cursor_that_leads_to_itself_is_an_error_not_a_loop() -> None:
    with pytest.raises(MalformedMessage):
        list(pages(lambda _cursor: {"result": {"list": [1], "nextPageCursor": "same"}}))


def test_a_range_in_weeks() -> None:
    assert list(weeks(10, 9)) == []
    assert list(weeks(10, 10)) == [(10, 10)]
    assert list(weeks(0, WEEK_MS)) == [(0, WEEK_MS - 1), (WEEK_MS, WEEK_MS)]


def test_kline_windows_start_on_bars_and_hold_a_thousand() -> None:
    assert list(kline_windows(1, 60_000 * 1500, 1)) == [(60_000, 60_000_000), (60_060_000, 90_000_000)]
    assert list(kline_windows(100, 200, 5)) == []


@given(st.integers(0, 10**9), st.integers(0, 4 * 10**8), st.sampled_from([1, 5, 15, 60]))
def test_windows_cover_every_bar_once(start_ms: int, length_ms: int, interval_min: int) -> None:
    step_ms = interval_min * 60_000
    end_ms = start_ms + length_ms
    covered = [
        bar for first, last in kline_windows(start_ms, end_ms, interval_min) for bar in range(first, last + 1, step_ms)
    ]
    assert covered == list(range(-(-start_ms // step_ms) * step_ms, end_ms + 1, step_ms))
